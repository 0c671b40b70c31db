"""The way from a backend's operators to its `torch.library` ops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ..adapting_kernel import AdaptingKernel
from ..backend import Backend
from ..calls import Call
from ..centres import centres
from ..geometry import Window
from .encoding import AdaptingCode, WindowCode
from .operands import ConvolutionOperands, KernelOperands
from .ops import CompiledOps
from .storage import wide


class _Guided(NamedTuple):
    guide: Tensor
    centres: Tensor | None
    inv_alpha: Tensor | None
    inv_lambda: Tensor | None


class CompiledBackend(Backend):
    """A backend whose operators are the ops `convolution` and `adapting_kernel`, with their derivatives.

    The mean-field update is an op too where the backend computes it in one; with shared filters, and elsewhere, it is
    softmax, convolution and sum. The guide is smoothed by torch, so that a smoothing filter is learnt.
    """

    @property
    def ops(self) -> CompiledOps:
        """The ops; made once in a process."""
        raise NotImplementedError(f"{self.name} has no ops")

    def needs_centres(self, over_guide: Window, adapting: AdaptingKernel) -> bool:
        """Whether f_i is handed to the ops as a tensor of its own: where it is not the guide itself.

        Args:
            over_guide: The window as it moves over the guide.
            adapting: The adapting kernel.
        """
        del over_guide
        return adapting.smooth_kernel is not None

    def _fuses(self, shared_filters: bool) -> bool:
        return self.ops.mean_field_update is not None and not shared_filters

    def registered_op(self, call: Call) -> tuple[Any, tuple[Any, ...], Mapping[str, Any]] | None:
        """The op and its arguments; None for a mean-field update that is made of several."""
        if call.operator == "packernel2d":
            return self.ops.adapting_kernel, tuple(self._kernel_arguments(**call.keywords())), {}
        if call.operator == "mean_field_update":
            if not self._fuses(bool(call.shared_filters)):
                return None
            tensors = tuple(call.tensors.values())
            return self.ops.mean_field_update, (*tensors, WindowCode.write(call.window), call.message_weight), {}
        return self.ops.convolution, tuple(self._arguments(**call.keywords())), {}

    def packernel2d(
        self, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract."""
        kernel, output_mask = self.ops.adapting_kernel(*self._kernel_arguments(guide, mask, window, adapting))
        return kernel.to(guide.dtype), None if mask is None else output_mask

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
        return self._computed(input, window, shared_filters, kernel=kernel, weight=weight, bias=bias)[0]

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
        return self._computed(input, window, shared_filters, kernel=kernel, weight=weight, bias=bias)[0]

    def pacpool2d(self, input: Tensor, kernel: Tensor, *, window: Window) -> Tensor:
        """See the contract."""
        return self._computed(input, window, kernel=kernel)[0]

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
        """See the contract; the kernel is never stored."""
        return self._computed(
            input, window, shared_filters, guide=guide, mask=mask, adapting=adapting, weight=weight, bias=bias
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
        """See the contract; the kernel is never stored."""
        return self._computed(
            input, window, shared_filters, guide=guide, mask=mask, adapting=adapting, weight=weight, bias=bias
        )

    def guided_pacpool2d(
        self, input: Tensor, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract; the kernel is never stored."""
        return self._computed(input, window, guide=guide, mask=mask, adapting=adapting)

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
        if self._fuses(shared_filters):
            window_code = WindowCode.write(window)
            output: Tensor = self.ops.mean_field_update(base, beliefs, kernel, weight, window_code, message_weight)
            return output
        composed = super().mean_field_update(
            wide(base),
            wide(beliefs),
            kernel,
            wide(weight),
            window=window,
            shared_filters=shared_filters,
            message_weight=message_weight,
        )
        return composed.to(base.dtype)

    def _computed(
        self, input: Tensor, window: Window, shared_filters: bool = False, *, mask: Tensor | None = None, **rest: Any
    ) -> tuple[Tensor, Tensor | None]:
        arguments = self._arguments(input=input, window=window, shared_filters=shared_filters, mask=mask, **rest)
        output, output_mask = self.ops.convolution(*arguments)
        return output, None if mask is None else output_mask

    def _arguments(
        self,
        input: Tensor,
        window: Window,
        shared_filters: bool = False,
        guide: Tensor | None = None,
        mask: Tensor | None = None,
        adapting: AdaptingKernel | None = None,
        kernel: Tensor | None = None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> ConvolutionOperands:
        """Arguments of the op `convolution`; without a weight it is a pooling."""
        own, alpha, exponent = None, None, None
        if adapting is not None and guide is not None:
            guide, own, alpha, exponent = self._guided(guide, window, adapting)
        return ConvolutionOperands(
            input,
            guide,
            own,
            mask,
            kernel,
            weight,
            bias,
            alpha,
            exponent,
            WindowCode.write(window),
            AdaptingCode.write(adapting),
            shared_filters,
        )

    def _kernel_arguments(
        self, guide: Tensor, mask: Tensor | None, window: Window, adapting: AdaptingKernel
    ) -> KernelOperands:
        """Arguments of the op `adapting_kernel`."""
        guide, own, alpha, exponent = self._guided(guide, window, adapting)
        coded = WindowCode.write(window), AdaptingCode.write(adapting)
        return KernelOperands(guide, own, mask, alpha, exponent, *coded)

    def _guided(self, guide: Tensor, window: Window, adapting: AdaptingKernel) -> _Guided:
        if not self.needs_centres(window.over_guide, adapting):
            return _Guided(guide, None, adapting.inv_alpha, adapting.inv_lambda)
        # In float32, so that centres are not rounded, and the guide's two gradients are added before they are.
        guide = wide(guide)
        smooth_kernel = None if adapting.smooth_kernel is None else adapting.smooth_kernel.to(guide.dtype)
        own = centres(guide, window.over_guide, smooth_kernel)
        return _Guided(guide, own, adapting.inv_alpha, adapting.inv_lambda)
