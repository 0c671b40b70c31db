"""Full-CRF: mean field in a fully connected CRF, on the permutohedral lattice, learnable.

Source: Krähenbühl & Koltun, *Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials*, NIPS 2011;
conventions are those of its published code (pydensecrf2), with which results agree (`docs/crf_methods.md`). The lattice
is the native backend's, its derivative our own: the adjoint of the filter blurs in the reverse order of axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pacbench.backend import Backend
from pacbench.crf.lattice import PermutohedralLattice
from pacbench.crf.lattice_crf import FinalOutput, LatticeCRF, PreparedImage

Compatibility = Literal["potts", "learned"]


class FullCRF(LatticeCRF[PermutohedralLattice]):
    """Fully connected CRF with a Gaussian of position and a bilateral Gaussian.

    ``Q ← softmax(unary_weight · unary - μ Σ_k compat_k · K_k Q)``, from softmax(unary_weight · unary). K_k is the
    lattice filter, normalised symmetrically; as in the published code a pixel is among its own neighbours. Potts
    compatibility is μ = -I, which differs from 1 - I by what no softmax sees.

    Args:
        channels: number of classes.
        num_steps: mean-field iterations.
        unary_weight: weight of the unary.
        position_sxy: standard deviation of the position kernel, in pixels.
        position_compat: weight of the position kernel.
        bilateral_sxy: standard deviation of the position in the bilateral kernel, in pixels.
        bilateral_srgb: standard deviation of the colour in the bilateral kernel, in the image's units.
        bilateral_compat: weight of the bilateral kernel.
        compatibility: 'potts', or 'learned': the (channels, channels) tensor `compatibility`, from 1 - I.
        final_output: 'softmax' (probabilities, as the published code gives) or 'log_Q' (logits of the last step).
        trainable: keep weights and compatibility as parameters rather than as buffers.
        backend: name of a backend that has a lattice, or a Backend; None is `native`.

    Raises:
        ValueError: an option out of its range.
        UnavailableError: there is no compiled lattice here; the message says how to mend it.
    """

    unary_weight: Tensor
    position_compat: Tensor
    bilateral_compat: Tensor
    compatibility: Tensor | None

    def __init__(
        self,
        channels: int,
        num_steps: int = 5,
        *,
        unary_weight: float = 1.0,
        position_sxy: float = 3.0,
        position_compat: float = 3.0,
        bilateral_sxy: float = 80.0,
        bilateral_srgb: float = 13.0,
        bilateral_compat: float = 10.0,
        compatibility: Compatibility = "potts",
        final_output: FinalOutput = "softmax",
        trainable: bool = False,
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__(
            channels, num_steps, position_sxy=position_sxy, bilateral_sxy=bilateral_sxy, bilateral_srgb=bilateral_srgb,
            final_output=final_output, backend=backend,
        )  # fmt: skip
        self._one_of("compatibility", compatibility, get_args(Compatibility))
        self.trainable = trainable
        weights = {
            "unary_weight": unary_weight, "position_compat": position_compat, "bilateral_compat": bilateral_compat,
        }  # fmt: skip
        for name, weight in weights.items():
            self._hold(name, torch.tensor(self._finite(name, weight)))
        if compatibility == "learned":
            self._hold("compatibility", 1 - torch.eye(channels))
        else:
            self.compatibility = None

    def _hold(self, name: str, value: Tensor) -> None:
        if self.trainable:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def extra_repr(self) -> str:
        """The options, as they are printed."""
        return (
            f"channels={self.channels}, num_steps={self.num_steps}, position_sxy={self.position_sxy}, "
            f"bilateral_sxy={self.bilateral_sxy}, bilateral_srgb={self.bilateral_srgb}"
        )

    def _prepare(self, lattice: PermutohedralLattice) -> PermutohedralLattice:
        """The lattice, its normalisation computed."""
        _ = lattice.normalisation
        return lattice

    def _infer(self, unary: Tensor, image: PreparedImage[PermutohedralLattice]) -> Tensor:
        lattices = image.lattices
        dtype = lattices[0].dtype
        flat = unary.flatten(1).to("cpu", dtype)
        weights = torch.stack([self.position_compat, self.bilateral_compat]).to("cpu", torch.float64)
        compatibility = None if self.compatibility is None else self.compatibility.to("cpu", dtype)
        learned = [tensor for tensor in (flat, self.unary_weight, weights, compatibility) if tensor is not None]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in learned):
            logits: Tensor = _MeanField.apply(  # type: ignore[no-untyped-call]
                flat,
                self.unary_weight.to("cpu", torch.float64),
                weights,
                compatibility,
                lattices,
                self.num_steps,
            )
            output = logits.softmax(dim=0) if self.final_output == "softmax" else logits
        else:
            output, _ = lattices[0].kernels.mean_field(
                [lattice.built for lattice in lattices],
                [lattice.normalisation for lattice in lattices],
                flat.contiguous(), float(self.unary_weight.detach()), weights.detach().tolist(), compatibility,
                self.num_steps, softmax=self.final_output == "softmax",
            )  # fmt: skip
        return output.reshape(unary.shape)


class _MeanField(torch.autograd.Function):
    """Logits (C, pixels); the backward pass needs the beliefs of each step and one adjoint filter for each kernel.

    With g the gradient to a step's logits and r_k the adjoint filter of g: the gradient to the step's Q is
    -μᵀ Σ_k w_k r_k, to w_k it is -⟨μᵀ r_k, Q⟩, to μ it is -Σ_pixels (Σ_k w_k r_k) Qᵀ, since μ mixes channels and the
    filter pixels, and the two commute.
    """

    @staticmethod
    def forward(
        ctx: Any,
        unary: Tensor,
        unary_weight: Tensor,
        weights: Tensor,
        compatibility: Tensor | None,
        lattices: Sequence[PermutohedralLattice],
        steps: int,
    ) -> Tensor:
        dense = unary.contiguous()
        logits, beliefs = lattices[0].kernels.mean_field(
            [lattice.built for lattice in lattices], [lattice.normalisation for lattice in lattices],
            dense, float(unary_weight), weights.tolist(), compatibility, steps, keep_beliefs=True,
        )  # fmt: skip
        ctx.lattices = lattices
        ctx.save_for_backward(dense, unary_weight, weights, compatibility, beliefs)
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None, None, None]:
        unary, unary_weight, weights, compatibility, beliefs = ctx.saved_tensors
        classes = unary.shape[0]
        of_weights = torch.zeros_like(weights)
        of_compatibility = None if compatibility is None else torch.zeros_like(compatibility)
        row = beliefs.shape[2]
        gradient = torch.nn.functional.pad(grad.t(), (0, row - classes)).contiguous()
        total = gradient.clone()
        for believed in beliefs.flip(0):
            message = torch.zeros_like(gradient)
            for k, lattice in enumerate(ctx.lattices):
                filtered = lattice.filter_rows(gradient, lattice.normalisation, reverse=True)
                compatible = filtered if compatibility is None else -_mixed(filtered, compatibility)
                of_weights[k] += (compatible * believed).sum(dtype=torch.float64)
                message.add_(filtered, alpha=float(weights[k]))
            if of_compatibility is not None:
                of_compatibility -= message[:, :classes].t() @ believed[:, :classes]
                message = -_mixed(message, compatibility)
            gradient = believed * (message - (message * believed).sum(dim=1, keepdim=True))
            total += gradient
        of_logits = total[:, :classes].t()
        of_unary_weight = (of_logits * unary).sum(dtype=torch.float64).to(unary_weight.dtype)
        return of_logits * unary_weight.to(unary), of_unary_weight, of_weights, of_compatibility, None, None


def _mixed(rows: Tensor, compatibility: Tensor) -> Tensor:
    """Rows times μ in their first entries, zero beyond."""
    mixed = torch.zeros_like(rows)
    classes = compatibility.shape[0]
    torch.mm(rows[:, :classes], compatibility, out=mixed[:, :classes])
    return mixed
