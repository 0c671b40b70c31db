"""PAC-CRF: mean field whose messages are pixel-adaptive convolutions (Su et al., CVPR 2019, section 5).

The update is that of Krähenbühl & Koltun (NIPS 2011),
``Q ← softmax(-ψ_u - Σ_l' μ(l, l') Σ_{j≠i} K(f_i, f_j) Q_j(l'))``, with the sum over j cut off
at a dilated window and μ inside the filter (compat_type '4d'), beside it ('2d') or fixed ('potts'). Arguments,
starting values and state_dict keys are those of the reference (NVlabs/pacnet, `paccrf`), so that weights
published for it load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from pacbench import autocast
from pacbench.backend import Backend
from pacbench.blurring import pool_by, upsample_by
from pacbench.functional import mean_field_update
from pacbench.nn.layers import PacConv2d
from pacbench.nn.pac_crf_arguments import (
    EdgeFeatures,
    EdgeKernels,
    check_beliefs,
    check_features,
    check_options,
    checked_kernels,
    each_kernel,
    feature_of,
)
from pacbench.nn.pairwise_kernel import PairwiseKernel

PERTURBATION = 0.0005


class PacCRF(nn.Module):
    """PAC-CRF, its weights shared by all steps.

    Each step is ``logQ = unary · unary_weight - Σ_i pairwise_weight_i · message_i(softmax(logQ))``, the first
    from softmax(unary).

    Args:
        channels: number of classes.
        num_steps: mean-field steps.
        final_output: 'log_Q' (unnormalised), 'softmax' or 'log_softmax'.
        perturbed_init: start filters and compatibilities with noise of ±0.0005.
        fixed_weighting: keep `unary_weight` a constant, and never learn a pairwise weight.
        unary_weight: weight of the unary, learnable unless `fixed_weighting`.
        pairwise_kernels: keyword arguments of `add_pairwise_kernel`, once or in a sequence.
        backend: name of a backend, a Backend, or None to let dispatch choose.

    Shapes:
        unary and result (N, channels, H, W); edge features (N, G, H, W).

    A kernel without blur whose compatibility lies in its filter ('4d', 'potts') is served by
    `pacbench.functional.mean_field_update`, which calls no hooks of its messenger. Under autocast the beliefs are
    float32, whatever the unary is.

    As in the reference, `pairwise_weights` holds a parameter for every kernel, but only that of a Potts kernel
    without spatial filter (and without `fixed_weighting`) is used; elsewhere the constant given is, since the
    filter's own scale is learnable there.

    Raises:
        ValueError: an option or a shape that does not fit.
    """

    unary_weight: float | nn.Parameter

    def __init__(
        self,
        channels: int,
        num_steps: int,
        final_output: str = "log_Q",
        perturbed_init: bool = True,
        fixed_weighting: bool = False,
        unary_weight: float = 1.0,
        pairwise_kernels: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__()
        check_options(channels, num_steps, final_output, least_steps=0)
        self.channels = channels
        self.num_steps = num_steps
        self.final_output = final_output
        self.perturbed_init = perturbed_init
        self.fixed_weighting = fixed_weighting
        self.init_unary_weight = float(unary_weight)
        self.backend = backend
        self.kernels: list[PairwiseKernel] = []
        self.messengers = nn.ModuleList()
        self.compat = nn.ModuleList()
        self.pairwise_weights = nn.ParameterList()
        if fixed_weighting:
            self.unary_weight = self.init_unary_weight
        else:
            self.unary_weight = nn.Parameter(torch.tensor(self.init_unary_weight))
        for options in each_kernel(pairwise_kernels):
            self.add_pairwise_kernel(**options)

    def add_pairwise_kernel(
        self,
        kernel_size: int = 3,
        dilation: int = 1,
        blur: int = 1,
        compat_type: str = "4d",
        spatial_filter: bool = True,
        pairwise_weight: float = 1.0,
    ) -> None:
        """Add a kernel, its parameters at their starting values; see `PairwiseKernel` for the arguments."""
        kernel = PairwiseKernel(kernel_size, dilation, blur, compat_type, spatial_filter, pairwise_weight)
        compat = nn.Conv2d(self.channels, self.channels, 1, bias=False) if compat_type == "2d" else None
        self.kernels.append(kernel)
        self.messengers.append(kernel.messenger(self.channels, self.perturbed_init, self.backend))
        self.compat.append(compat)  # type: ignore[arg-type]  # torch keeps the index of an empty place
        self.pairwise_weights.append(nn.Parameter(torch.tensor(kernel.signed_weight)))
        self.reset_parameters(len(self.kernels) - 1)

    def num_pairwise_kernels(self) -> int:
        """How many pairwise kernels there are."""
        return len(self.kernels)

    def reset_parameters(self, pairwise_idx: int | None = None) -> None:
        """Set the parameters of one kernel, or of the whole CRF, to their starting values."""
        if pairwise_idx is None and isinstance(self.unary_weight, nn.Parameter):
            nn.init.constant_(self.unary_weight, self.init_unary_weight)
        for i in range(len(self.kernels)) if pairwise_idx is None else [pairwise_idx]:
            cast(PacConv2d, self.messengers[i]).reset_parameters()
            compat = self._compat(i)
            if compat is not None:
                with torch.no_grad():
                    compat.weight.copy_((1 - torch.eye(self.channels))[:, :, None, None])
                    if self.perturbed_init:
                        compat.weight.add_(torch.empty_like(compat.weight).uniform_(-PERTURBATION, PERTURBATION))
            nn.init.constant_(self.pairwise_weights[i], self.kernels[i].signed_weight)

    def extra_repr(self) -> str:
        """The options, as they are printed."""
        words = [f"channels={self.channels}", f"num_steps={self.num_steps}", f"final_output={self.final_output!r}"]
        words += [f"{name}=True" for name in ("perturbed_init", "fixed_weighting") if getattr(self, name)]
        return ", ".join(words + [str(kernel) for kernel in self.kernels])

    def compute_edge_kernels(self, edge_feat: EdgeFeatures | None) -> list[Tensor | None]:
        """The adapting kernel of every pairwise kernel, to be computed once and used in all steps.

        Args:
            edge_feat: (N, G, H, W) for all kernels, or one for each kernel in a sequence or by its index in a
                mapping. Features are at full resolution: a kernel with blur pools them itself.

        Returns:
            For each kernel (N, 1, k, k, ⌈H/blur⌉, ⌈W/blur⌉), or None where it does not adapt ('na').
        """
        count = len(self.kernels)
        features = [feature_of(edge_feat, i, count) if kernel.adapts else None for i, kernel in enumerate(self.kernels)]
        computed: dict[tuple[int, PairwiseKernel], Tensor] = {}
        results: list[Tensor | None] = []
        for feature, kernel, messenger in zip(features, self.kernels, self.messengers, strict=True):
            if feature is None:
                results.append(None)
                continue
            # The same window over the same features is the same adapting kernel, whatever its filter is.
            key = (id(feature), PairwiseKernel(kernel.kernel_size, kernel.dilation, kernel.blur))
            if key not in computed:
                computed[key], _ = cast(PacConv2d, messenger).compute_kernel(pool_by(feature, kernel.blur))
            results.append(computed[key])
        return results

    def forward(
        self,
        unary: Tensor,
        edge_feat: EdgeFeatures | None,
        edge_kernel: EdgeKernels | None = None,
        logQ: Tensor | None = None,  # noqa: N803 (the name that the reference's users know)
    ) -> Tensor:
        """Run the mean-field steps.

        Args:
            unary: (N, channels, H, W) logits.
            edge_feat: see `compute_edge_kernels`; not read when `edge_kernel` is given.
            edge_kernel: what `compute_edge_kernels` gave, or one kernel for all.
            logQ: (N, channels, H, W), where the first step starts from; the unary when None.

        Returns:
            (N, channels, H, W), as `final_output` says.
        """
        check_beliefs("unary", unary, self.channels, None)
        if logQ is not None:
            check_beliefs("logQ", logQ, self.channels, unary)
        if edge_kernel is None:
            check_features(edge_feat, self.kernels, unary)
            edge_kernel = self.compute_edge_kernels(edge_feat)
        kernels = checked_kernels(edge_kernel, self.kernels, unary)
        beliefs = autocast.widened(unary if logQ is None else logQ)
        base = autocast.widened(unary) * self.unary_weight
        for _ in range(self.num_steps):
            beliefs = self._step(base, beliefs, kernels)
        return _finish(beliefs, self.final_output)

    def _step(self, base: Tensor, beliefs: Tensor, kernels: Sequence[Tensor | None]) -> Tensor:
        """The base, which is the weighted unary, minus the message of each kernel."""
        updated = base
        sources: dict[int, Tensor] = {}
        for i, (kernel, adapting) in enumerate(zip(self.kernels, kernels, strict=True)):
            if kernel.in_filter and adapting is not None:
                updated = self._fused_update(i, updated, beliefs, adapting)
                continue
            if not sources:
                sources[1] = beliefs.softmax(dim=1)
            if kernel.blur not in sources:
                sources[kernel.blur] = pool_by(sources[1], kernel.blur)
            message, weight = self._message(i, sources[kernel.blur], adapting), self._weight(i)
            if isinstance(weight, Tensor):
                message, weight = message * weight, 1.0
            upsampled = upsample_by(message, kernel.blur, (base.shape[2], base.shape[3]))
            updated = updated.sub(upsampled, alpha=weight)
        return updated

    def _fused_update(self, i: int, base: Tensor, beliefs: Tensor, adapting: Tensor) -> Tensor:
        messenger, weight = cast(PacConv2d, self.messengers[i]), self._weight(i)
        filters = messenger.weight
        if isinstance(weight, Tensor):  # learnable: the gradient reaches it through the filter
            filters, weight = filters * weight, 1.0
        return mean_field_update(
            base,
            beliefs,
            adapting,
            filters,
            messenger.padding,
            messenger.dilation,
            messenger.shared_filters,
            -float(weight),
            backend=messenger.backend,
        )

    def _message(self, i: int, probabilities: Tensor, adapting: Tensor | None) -> Tensor:
        guiding = (None, adapting) if self.kernels[i].adapts else ()
        message: Tensor = self.messengers[i](probabilities, *guiding)
        compat = self._compat(i)
        return message if compat is None else compat(message)

    def _weight(self, i: int) -> Tensor | float:
        kernel = self.kernels[i]
        learnable = kernel.compat_type == "potts" and not kernel.spatial_filter and not self.fixed_weighting
        return self.pairwise_weights[i] if learnable else kernel.signed_weight

    def _compat(self, i: int) -> nn.Conv2d | None:
        return cast("nn.Conv2d | None", self.compat[i])


class PacCRFLoose(nn.Module):
    """PAC-CRF with weights of its own for every step; arguments and shapes as those of `PacCRF`.

    The steps are the modules ``steps.t``, each a `PacCRF` of one step.
    """

    def __init__(
        self,
        channels: int,
        num_steps: int,
        final_output: str = "log_Q",
        perturbed_init: bool = True,
        fixed_weighting: bool = False,
        unary_weight: float = 1.0,
        pairwise_kernels: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__()
        check_options(channels, num_steps, final_output, least_steps=1)
        self.channels = channels
        self.num_steps = num_steps
        self.final_output = final_output
        self.steps = nn.ModuleList(
            PacCRF(
                channels, 1, "log_Q", perturbed_init, fixed_weighting, unary_weight, pairwise_kernels, backend=backend
            )
            for _ in range(num_steps)
        )

    def _step(self, t: int) -> PacCRF:
        return cast(PacCRF, self.steps[t])

    def add_pairwise_kernel(
        self,
        kernel_size: int = 3,
        dilation: int = 1,
        blur: int = 1,
        compat_type: str = "4d",
        spatial_filter: bool = True,
        pairwise_weight: float = 1.0,
    ) -> None:
        """Add a kernel to every step; see `PairwiseKernel` for the arguments."""
        for t in range(self.num_steps):
            self._step(t).add_pairwise_kernel(kernel_size, dilation, blur, compat_type, spatial_filter, pairwise_weight)

    def num_pairwise_kernels(self) -> int:
        """How many pairwise kernels each step has."""
        return self._step(0).num_pairwise_kernels()

    def reset_parameters(self) -> None:
        """Set the parameters of every step to their starting values."""
        for t in range(self.num_steps):
            self._step(t).reset_parameters()

    def extra_repr(self) -> str:
        """The options, as they are printed."""
        return f"channels={self.channels}, num_steps={self.num_steps}, final_output={self.final_output!r}"

    def compute_edge_kernels(self, edge_feat: EdgeFeatures | None) -> list[Tensor | None]:
        """As `PacCRF.compute_edge_kernels`: the adapting kernels have no weights, so all steps share them."""
        return self._step(0).compute_edge_kernels(edge_feat)

    def forward(
        self,
        unary: Tensor,
        edge_feat: EdgeFeatures | None,
        edge_kernel: EdgeKernels | None = None,
    ) -> Tensor:
        """Run the mean-field steps; arguments and result as those of `PacCRF.forward`."""
        check_beliefs("unary", unary, self.channels, None)
        if edge_kernel is None:
            check_features(edge_feat, self._step(0).kernels, unary)
            edge_kernel = self.compute_edge_kernels(edge_feat)
        beliefs = unary
        for t in range(self.num_steps):
            beliefs = self._step(t)(unary, None, edge_kernel, beliefs)
        return _finish(beliefs, self.final_output)


def _finish(beliefs: Tensor, final_output: str) -> Tensor:
    if final_output == "softmax":
        return beliefs.softmax(dim=1)
    return beliefs.log_softmax(dim=1) if final_output == "log_softmax" else beliefs
