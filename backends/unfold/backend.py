"""The four operators in torch operations, differentiable any number of times, on any torch device."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from pacbench.adapting_kernel import AdaptingKernel
from pacbench.backend import Backend
from pacbench.capabilities import Capabilities
from pacbench.columns import columns
from pacbench.geometry import Window

from .adapting_kernel import adapting_kernel


class UnfoldBackend(Backend):
    """k² copies of the input, scaled by the adapting kernel, then one contraction with the filter.

    16-bit tensors are computed in float32 and rounded once, at the end.
    """

    name: ClassVar[str] = "unfold"
    summary: ClassVar[str] = "the readable reference in torch operations; the oracle for all others"
    capabilities: ClassVar[Capabilities] = Capabilities(
        devices=("cpu", "cuda"),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        derivative_order=None,
        priority={"cpu": 0, "cuda": 0},
    )

    def packernel2d(
        self, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract."""
        wide_mask = None if mask is None else _wide(mask)
        kernel, output_mask = adapting_kernel(_wide(guide), wide_mask, window, _wide_parameters(adapting))
        return kernel.to(guide.dtype), output_mask

    def pacconv2d(
        self,
        input: Tensor,
        kernel: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *,
        window: Window,
        shared_filters: bool,
    ) -> Tensor:
        """See the contract."""
        modulated = columns(_wide(input), window) * _wide(kernel)
        return _contracted(modulated, weight, bias, "ockl", shared_filters).to(input.dtype)

    def pacconv_transpose2d(
        self,
        input: Tensor,
        kernel: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *,
        window: Window,
        shared_filters: bool,
    ) -> Tensor:
        """See the contract."""
        modulated = columns(_wide(input), window) * _wide(kernel)
        return _contracted(modulated, weight, bias, "cokl", shared_filters).to(input.dtype)

    def pacpool2d(self, input: Tensor, kernel: Tensor, *, window: Window) -> Tensor:
        """See the contract."""
        return (columns(_wide(input), window) * _wide(kernel)).sum((2, 3)).to(input.dtype)

    def guided_pacconv2d(
        self,
        input: Tensor,
        guide: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mask: Tensor | None,
        *,
        window: Window,
        adapting: AdaptingKernel,
        shared_filters: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract; the kernel of a 16-bit guide is not rounded on the way."""
        return super().guided_pacconv2d(
            input, _wide(guide), weight, bias, mask, window=window, adapting=adapting, shared_filters=shared_filters
        )

    def guided_pacconv_transpose2d(
        self,
        input: Tensor,
        guide: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mask: Tensor | None,
        *,
        window: Window,
        adapting: AdaptingKernel,
        shared_filters: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract; the kernel of a 16-bit guide is not rounded on the way."""
        return super().guided_pacconv_transpose2d(
            input, _wide(guide), weight, bias, mask, window=window, adapting=adapting, shared_filters=shared_filters
        )

    def guided_pacpool2d(
        self, input: Tensor, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract; the kernel of a 16-bit guide is not rounded on the way."""
        return super().guided_pacpool2d(input, _wide(guide), mask, window=window, adapting=adapting)

    def mean_field_update(
        self,
        base: Tensor,
        beliefs: Tensor,
        kernel: Tensor,
        weight: Tensor,
        *,
        window: Window,
        shared_filters: bool,
        message_weight: float,
    ) -> Tensor:
        """See the contract; probabilities and message of 16-bit beliefs are not rounded on the way."""
        updated = super().mean_field_update(
            _wide(base),
            _wide(beliefs),
            kernel,
            weight,
            window=window,
            shared_filters=shared_filters,
            message_weight=message_weight,
        )
        return updated.to(base.dtype)


def _contracted(modulated: Tensor, weight: Tensor, bias: Tensor | None, axes: str, shared_filters: bool) -> Tensor:
    """Taps (N, C, k_h, k_w, H', W') times the filter, summed over channels and taps, plus bias."""
    weight = _wide(weight)
    if shared_filters:
        output = torch.einsum("ncklhw,kl->nchw", modulated, weight[0, 0])
    else:
        output = torch.einsum(f"ncklhw,{axes}->nohw", modulated, weight)
    return output if bias is None else output + _wide(bias).view(1, -1, 1, 1)


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in {torch.float16, torch.bfloat16} else tensor


def _wide_parameters(adapting: AdaptingKernel) -> AdaptingKernel:
    return replace(
        adapting,
        smooth_kernel=None if adapting.smooth_kernel is None else _wide(adapting.smooth_kernel),
        inv_alpha=None if adapting.inv_alpha is None else _wide(adapting.inv_alpha),
        inv_lambda=None if adapting.inv_lambda is None else _wide(adapting.inv_lambda),
    )
