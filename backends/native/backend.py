"""The operators by the native library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from pacbench.adapting_kernel import AdaptingKernel
from pacbench.backend import Backend
from pacbench.calls import Call
from pacbench.capabilities import Capabilities, Reason
from pacbench.centres import centres
from pacbench.geometry import Window

from . import library, ops
from .computing import wide
from .encoding import AdaptingCode, WindowCode


class NativeBackend(Backend):
    """Fused C++ kernels: the adapting kernel is computed on the fly, the columns stay in the cache.

    The instruction set is chosen when the library loads (AVX-512, AVX2 or none in particular; see `library.py`), and
    torch's intra-op threads are used. Results are the same bits in every run *for a fixed number of threads*: each
    thread sums its own part of a weight's gradient. 16-bit tensors are computed in float32 and rounded once. A second
    derivative raises a NotSupportedError, when it is taken.
    """

    name: ClassVar[str] = "native"
    summary: ClassVar[str] = "fused C++ kernels (AVX-512, AVX2, portable); the default on CPUs"
    capabilities: ClassVar[Capabilities] = Capabilities(
        devices=("cpu",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        derivative_order=1,
        priority={"cpu": 10},
    )

    def unavailable_reasons(self) -> list[Reason]:
        """Why there is no library to compute with here: not built, not loadable, an instruction set missing."""
        return library.missing()

    def registered_op(self, call: Call) -> tuple[Any, tuple[Any, ...], Mapping[str, Any]]:
        """The op and its arguments."""
        if call.operator == "packernel2d":
            return ops.adapting_kernel, _kernel_arguments(**call.keywords()), {}
        if call.operator == "mean_field_update":
            tensors = tuple(call.tensors.values())
            return ops.mean_field_update, (*tensors, WindowCode.write(call.window), call.message_weight), {}
        return ops.convolution, _arguments(**call.keywords()), {}

    def packernel2d(
        self, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract."""
        kernel, output_mask = ops.adapting_kernel(*_kernel_arguments(guide, mask, window, adapting))
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
        return _computed(input, window, shared_filters, kernel=kernel, weight=weight, bias=bias)[0]

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
        return _computed(input, window, shared_filters, kernel=kernel, weight=weight, bias=bias)[0]

    def pacpool2d(self, input: Tensor, kernel: Tensor, *, window: Window) -> Tensor:
        """See the contract."""
        return _computed(input, window, kernel=kernel)[0]

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
        return _computed(
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
        return _computed(
            input, window, shared_filters, guide=guide, mask=mask, adapting=adapting, weight=weight, bias=bias
        )

    def guided_pacpool2d(
        self, input: Tensor, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract; the kernel is never stored."""
        return _computed(input, window, guide=guide, mask=mask, adapting=adapting)

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
        """See the contract; neither probabilities nor message are stored on the way there.

        With shared filters the softmax and the sum are torch's.
        """
        if shared_filters:
            composed = super().mean_field_update(
                wide(base),
                wide(beliefs),
                kernel,
                weight,
                window=window,
                shared_filters=True,
                message_weight=message_weight,
            )
            return composed.to(base.dtype)
        output: Tensor = ops.mean_field_update(base, beliefs, kernel, weight, WindowCode.write(window), message_weight)
        return output


def _computed(
    input: Tensor, window: Window, shared_filters: bool = False, *, mask: Tensor | None = None, **rest: Any
) -> tuple[Tensor, Tensor | None]:
    arguments = _arguments(input=input, window=window, shared_filters=shared_filters, mask=mask, **rest)
    output, output_mask = ops.convolution(*arguments)
    return output, None if mask is None else output_mask


def _arguments(
    input: Tensor,
    window: Window,
    shared_filters: bool = False,
    guide: Tensor | None = None,
    mask: Tensor | None = None,
    adapting: AdaptingKernel | None = None,
    kernel: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> tuple[Any, ...]:
    """Arguments of `ops.convolution`; without a weight it is a pooling."""
    guided = _Guided(None, None, None, None)
    if adapting is not None and guide is not None:
        guided = _guided(guide, window, adapting)
    coded = WindowCode.write(window), AdaptingCode.write(adapting)
    return (
        input,
        guided.guide,
        guided.centres,
        mask,
        kernel,
        weight,
        bias,
        guided.inv_alpha,
        guided.inv_lambda,
        *coded,
        shared_filters,
    )


def _kernel_arguments(guide: Tensor, mask: Tensor | None, window: Window, adapting: AdaptingKernel) -> tuple[Any, ...]:
    """Arguments of `ops.adapting_kernel`."""
    guided = _guided(guide, window, adapting)
    coded = WindowCode.write(window), AdaptingCode.write(adapting)
    return guided.guide, guided.centres, mask, guided.inv_alpha, guided.inv_lambda, *coded


class _Guided(NamedTuple):
    guide: Tensor | None
    centres: Tensor | None
    inv_alpha: Tensor | None
    inv_lambda: Tensor | None


def _guided(guide: Tensor, window: Window, adapting: AdaptingKernel) -> _Guided:
    """What the adapting kernel is made of; smoothing is by torch, so that a smoothing filter is learnt."""
    smoothed = None
    if adapting.smooth_kernel is not None:
        # In float32, so that centres are not rounded, and the guide's two gradients are added before they are.
        guide = wide(guide)
        smoothed = centres(guide, window.over_guide, adapting.smooth_kernel.to(guide.dtype))
    return _Guided(guide, smoothed, adapting.inv_alpha, adapting.inv_lambda)
