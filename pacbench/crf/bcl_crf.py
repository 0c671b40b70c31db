"""BCL-CRF: mean field whose messages are learned filters on the permutohedral lattice.

Source: Jampani, Kiefel & Gehler, *Learning Sparse High Dimensional Filters: Image Filtering, Dense CRFs and Bilateral
Neural Networks*, CVPR 2016, section 5.1: the Gaussian kernels of a fully connected CRF (`pacbench.crf.FullCRF`)
become bilateral convolutions, tied over the mean-field steps or loose. Where the paper leaves a choice,
`docs/crf_methods.md` says which was made.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from pacbench.backend import Backend
from pacbench.crf.lattice import PermutohedralLattice
from pacbench.crf.lattice_crf import FinalOutput, LatticeCRF, PreparedImage
from pacbench.crf.lattice_neighbourhood import neighbourhood


@dataclass(frozen=True)
class ConvolvedLattice:
    """A lattice on which a filter is learned.

    Attributes:
        lattice: of one image.
        neighbours: (points, taps), where the filter's taps lie.
        mirrored: (taps), the opposite of each tap.
        scale: (pixels), what pixels are multiplied by before and after: it makes the filter's start a mean.
    """

    lattice: PermutohedralLattice
    neighbours: Tensor
    mirrored: Tensor
    scale: Tensor

    def filter(self, rows: Tensor, weight: Tensor) -> Tensor:
        """Rows (pixels, row) filtered by weight (taps, row)."""
        values = self.lattice.splat(rows, self.scale)
        return self.lattice.slice(self.lattice.convolve(values, weight, self.neighbours, self.mirrored), self.scale)


class BCLCRF(LatticeCRF[ConvolvedLattice]):
    """CRF with two learned filters on permutohedral lattices: over position, and over position and colour.

    ``Q ← softmax(unary_weight · unary - μ Σ_k W_k * Q)``, from softmax(unary_weight · unary). W_k has
    (radius + 1)^(d + 1) - radius^(d + 1) taps for each class; it starts as a Gaussian cut off at the radius times the
    kernel's weight, and is normalised symmetrically by that Gaussian's response to ones, which is not learned.
    μ, (channels, channels), starts as 1 - I.

    Args:
        channels: number of classes.
        num_steps: mean-field iterations.
        unary_weight: weight of the unary.
        position_sxy: standard deviation of the position kernel, in pixels.
        position_compat: what the position filter starts with as its weight.
        bilateral_sxy: standard deviation of the position in the bilateral kernel, in pixels.
        bilateral_srgb: standard deviation of the colour in the bilateral kernel, in the image's units.
        bilateral_compat: what the bilateral filter starts with as its weight.
        radius: of the filters, in steps on the lattice.
        loose: every step has filters and compatibility of its own.
        final_output: 'log_Q' (logits of the last step) or 'softmax'.
        backend: name of a backend that has a lattice, or a Backend; None is `native`.

    Raises:
        ValueError: an option out of its range.
        UnavailableError: there is no compiled lattice here; the message says how to mend it.
    """

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
        radius: int = 1,
        loose: bool = False,
        final_output: FinalOutput = "log_Q",
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__(
            channels, num_steps, position_sxy=position_sxy, bilateral_sxy=bilateral_sxy, bilateral_srgb=bilateral_srgb,
            final_output=final_output, backend=backend,
        )  # fmt: skip
        self.radius = self._at_least("radius", radius, 0)
        self.loose = loose
        copies = num_steps if loose else 1
        self.unary_weight = nn.Parameter(torch.tensor(self._finite("unary_weight", unary_weight)))
        self.compatibility = nn.Parameter((1 - torch.eye(channels)).repeat(copies, 1, 1))
        self.position_filter = nn.Parameter(self._start(2, self._finite("position_compat", position_compat), copies))
        self.bilateral_filter = nn.Parameter(self._start(5, self._finite("bilateral_compat", bilateral_compat), copies))

    def _start(self, dimensions: int, weight: float, copies: int) -> Tensor:
        gaussian = weight * neighbourhood(dimensions, self.radius).gaussian()
        return gaussian.float()[None, :, None].repeat(copies, 1, self.channels)

    def extra_repr(self) -> str:
        """The options, as they are printed."""
        return f"channels={self.channels}, num_steps={self.num_steps}, radius={self.radius}, loose={self.loose}"

    def _prepare(self, lattice: PermutohedralLattice) -> ConvolvedLattice:
        """The lattice, where its filter's taps lie, and the normalisation of the filter's start."""
        taps = neighbourhood(lattice.dimensions, self.radius)
        table = lattice.neighbours(taps.offsets)
        ones = lattice.splat(torch.ones(lattice.pixels, 1, dtype=lattice.dtype, device="cpu"))
        weight = taps.gaussian().to(lattice.dtype)[:, None]
        response = lattice.slice(lattice.convolve(ones, weight, table, taps.mirrored))[:, 0]
        return ConvolvedLattice(lattice, table, taps.mirrored, (response + 1e-20).rsqrt())

    def _infer(self, unary: Tensor, image: PreparedImage[ConvolvedLattice]) -> Tensor:
        lattice = image.lattices[0].lattice
        rows = unary.flatten(1).to("cpu", lattice.dtype).t()
        base = rows * self.unary_weight.to("cpu", lattice.dtype)
        logits = base
        for step in range(self.num_steps):
            copy = step if self.loose else 0
            beliefs = lattice.rows(logits.softmax(dim=1).t())
            messages = torch.zeros_like(beliefs)
            for convolved, weight in zip(image.lattices, (self.position_filter, self.bilateral_filter), strict=True):
                padded = F.pad(weight[copy].to("cpu", lattice.dtype), (0, beliefs.shape[1] - self.channels))
                messages = messages + convolved.filter(beliefs, padded)
            compatibility = self.compatibility[copy].to("cpu", lattice.dtype)
            logits = torch.addmm(base, messages[:, : self.channels], compatibility.t(), alpha=-1)
        output = logits.softmax(dim=1) if self.final_output == "softmax" else logits
        return output.t().reshape(unary.shape)
