"""The operators by Triton kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pacbench.adapting_kernel import AdaptingKernel
from pacbench.calls import Call
from pacbench.capabilities import Capabilities, Reason
from pacbench.compiled.backend import CompiledBackend
from pacbench.compiled.ops import CompiledOps
from pacbench.errors import UnavailableError
from pacbench.geometry import Window
from pacbench.resources import ResourceRecord, Work

from . import availability


class TritonBackend(CompiledBackend):
    """Fused Triton kernels: implicit GEMMs on tensor cores, the adapting kernel computed in registers.

    16-bit tensors are read and written as they are and summed in float32; float32 is multiplied in the precision of
    torch's matrix products (`torch.backends.cuda.matmul.fp32_precision`), IEEE or tf32. No atomics: the same call gives
    the same bits. A second derivative raises a NotSupportedError, when it is taken.

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
            self.emulated = self.directional_derivatives = True

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

    @property
    def ops(self) -> CompiledOps:
        """Of namespace `pacbench_triton`; needs triton."""
        from .ops import OPS

        return OPS

    def needs_centres(self, over_guide: Window, adapting: AdaptingKernel) -> bool:
        """Unless a window's centre is the guide's pixel of the same place."""
        middle = all(2 * p == reach for p, reach in zip(over_guide.padding, over_guide.reach, strict=True))
        return adapting.smooth_kernel is not None or over_guide.stride != (1, 1) or not middle
