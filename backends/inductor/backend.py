"""The operators by `torch.compile`."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from pacbench.adapting_kernel import AdaptingKernel
from pacbench.backend import Backend
from pacbench.calls import OPTIONS, Call
from pacbench.capabilities import Capabilities, Reason
from pacbench.geometry import Window

from . import compiling, toolchain
from .formulation import KernelForm

NOT_COMPILED = frozenset({"mask", "inv_kernel", "smooth_kernel"})
"""Options that this backend leaves to others."""


class InductorBackend(Backend):
    """`torch.compile` of shifted slices and one matrix product, for any size of image.

    The first call of an operator with a window compiles it, for ten seconds or more; torch keeps the result on disk.
    A second derivative raises a NotSupportedError, when it is taken.
    """

    name: ClassVar[str] = "inductor"
    summary: ClassVar[str] = "torch.compile of a formulation that suits it; served on request only"
    capabilities: ClassVar[Capabilities] = Capabilities(
        devices=("cpu", "cuda"),
        dtypes=("float64", "float32"),
        options=tuple(option for option in OPTIONS if option not in NOT_COMPILED),
        gradients=("input", "guide", "kernel", "weight", "bias"),
        derivative_order=1,
    )

    def __init__(self) -> None:
        self._missing: list[Reason] | None = None

    def unavailable_reasons(self) -> list[Reason]:
        """What torch.compile lacks on this machine, looked up once."""
        if self._missing is None:
            self._missing = toolchain.missing()
        return self._missing

    def not_supported_reasons(self, call: Call) -> list[str]:
        """The declaration's reasons, and what torch.compile lacks for the call's device."""
        return super().not_supported_reasons(call) + toolchain.missing_for(call.device_type)

    def packernel2d(
        self, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract; there is no mask."""
        return compiling.packernel2d(window, _form(adapting))(guide), mask

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
        return compiling.convolution(window, shared_filters)(input, kernel, weight, bias)

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
        return compiling.convolution(window, shared_filters)(input, kernel, weight, bias)

    def pacpool2d(self, input: Tensor, kernel: Tensor, *, window: Window) -> Tensor:
        """See the contract."""
        return compiling.pooling(window)(input, kernel)

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
        """See the contract; kernel and convolution are compiled as one."""
        function = compiling.guided_convolution(window, _form(adapting), shared_filters)
        return function(input, guide, weight, bias), mask

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
        """See the contract; kernel and convolution are compiled as one."""
        function = compiling.guided_convolution(window, _form(adapting), shared_filters)
        return function(input, guide, weight, bias), mask

    def guided_pacpool2d(
        self, input: Tensor, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """See the contract; kernel and pooling are compiled as one."""
        return compiling.guided_pooling(window, _form(adapting))(input, guide), mask


def _form(adapting: AdaptingKernel) -> KernelForm:
    return KernelForm(adapting.asymmetric, adapting.channel_wise, adapting.normalize)
