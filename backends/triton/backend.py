"""The operators by Triton kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from pacbench.adapting_kernel import AdaptingKernel
from pacbench.backend import Backend
from pacbench.calls import Call
from pacbench.capabilities import Capabilities, Reason
from pacbench.centres import centres
from pacbench.errors import UnavailableError
from pacbench.geometry import Window
from pacbench.resources import ResourceRecord, Work

from . import availability
from .encoding import AdaptingCode, WindowCode


class TritonBackend(Backend):
    """Fused Triton kernels: implicit GEMMs on tensor cores, the adapting kernel computed in registers.

    16-bit tensors are read and written as they are and summed in float32; float32 is multiplied in IEEE precision, or
    in tf32 where `torch.backends.cuda.matmul.allow_tf32` is set. No atomics: the same call gives the same bits. A
    second derivative raises a NotSupportedError, when it is taken.

    With TRITON_INTERPRET=1 the kernels are interpreted on the CPU, to be tested there. The interpreter of Triton 3.9
    multiplies the bits of bfloat16 as if they were integers, so that this instance then does not declare bfloat16.
    """

    name: ClassVar[str] = "triton"
    summary: ClassVar[str] = "fused Triton kernels on tensor cores (NVIDIA, AMD); interpreted on CPUs for tests"
    capabilities: ClassVar[Capabilities] = Capabilities(
        devices=("cuda",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        derivative_order=1,
        priority={"cuda": 10},
    )

    def __init__(self) -> None:
        if availability.interpreting():
            declared = replace(
                type(self).capabilities, devices=("cpu",), dtypes=("float64", "float32", "float16"), priority={}
            )
            self.capabilities = declared  # type: ignore[misc]
            self.emulated = True

    def unavailable_reasons(self) -> list[Reason]:
        """Why the kernels cannot run here: no triton, no GPU, or the interpreter switched on too late."""
        return availability.unavailable_reasons()

    def not_supported_reasons(self, call: Call) -> list[str]:
        """The declaration's reasons, and why the interpreter has no bfloat16."""
        reasons = super().not_supported_reasons(call)
        if availability.interpreting() and call.dtype == "bfloat16":
            reasons.append("Triton's interpreter multiplies bfloat16 wrongly")
        return reasons

    def resource_budget_file(self) -> Path:
        """The committed budget, beside this file."""
        return Path(__file__).parent / "resource_budget.json"

    def compiled_resources(self, targets: Sequence[str] | None = None) -> tuple[str, list[ResourceRecord]]:
        """See the contract; needs triton, and no GPU."""
        reason = availability.without_package()
        if reason is not None:
            raise UnavailableError(f"backend triton: {reason}")
        from . import compiling

        return compiling.compiler(), compiling.records(targets or compiling.BUDGETED)

    def planned_work(self) -> list[Work]:
        """See the contract; needs triton, and no GPU."""
        reason = availability.without_package()
        if reason is not None:
            raise UnavailableError(f"backend triton: {reason}")
        from . import predicting

        return list(predicting.works())

    def registered_op(self, call: Call) -> tuple[Any, tuple[Any, ...], Mapping[str, Any]] | None:
        """The op and its arguments."""
        from . import ops

        if call.operator == "packernel2d":
            return ops.adapting_kernel, _kernel_arguments(**call.keywords()), {}
        if call.operator == "mean_field_update":
            if call.shared_filters:
                return None
            tensors = tuple(call.tensors.values())
            return ops.mean_field_update, (*tensors, WindowCode.write(call.window), call.message_weight), {}
        return ops.convolution, _arguments(**call.keywords()), {}

    def packernel2d(
        self, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract."""
        from . import ops

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
        """See the contract; the message is added where it is computed, and never stored.

        With shared filters the softmax and the sum are torch's.
        """
        if shared_filters:
            composed = super().mean_field_update(
                _wide(base),
                _wide(beliefs),
                kernel,
                weight,
                window=window,
                shared_filters=True,
                message_weight=message_weight,
            )
            return composed.to(base.dtype)
        from . import ops

        output: Tensor = ops.mean_field_update(base, beliefs, kernel, weight, WindowCode.write(window), message_weight)
        return output


def _computed(
    input: Tensor, window: Window, shared_filters: bool = False, *, mask: Tensor | None = None, **rest: Any
) -> tuple[Tensor, Tensor | None]:
    from . import ops

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
    """What the adapting kernel is made of; centres that are not the guide itself are made by torch, smoothed or not."""
    over = window.over_guide
    middle = all(2 * padding == reach for padding, reach in zip(over.padding, over.reach, strict=True))
    if adapting.smooth_kernel is None and over.stride == (1, 1) and middle:
        return _Guided(guide, None, adapting.inv_alpha, adapting.inv_lambda)
    # In float32, so that centres are not rounded, and the guide's two gradients are added before they are.
    guide = _wide(guide)
    smooth_kernel = None if adapting.smooth_kernel is None else adapting.smooth_kernel.to(guide.dtype)
    return _Guided(guide, centres(guide, over, smooth_kernel), adapting.inv_alpha, adapting.inv_lambda)


def _wide(tensor: Tensor) -> Tensor:
    """The tensor in the dtype that is summed in."""
    return tensor if tensor.dtype.itemsize >= 4 else tensor.float()
