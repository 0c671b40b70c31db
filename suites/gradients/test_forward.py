"""Outputs against the definitions, for every operator, option and declared dtype."""

from __future__ import annotations

import pytest
import torch

from pacbench.backend import Backend
from pacbench.running.device import device_of

from .cases import CASES, Case
from .comparing import DTYPES, assert_agrees, dtype_or_skip, poisoned_allocations
from .direct_oracle import expected
from .samples import call, tensors

SMOKE = {
    "packernel2d-3x3-float64",
    "packernel2d-mask-float64",
    "pacconv2d-5x5-stride2-float64",
    "pacconv_transpose2d-5x5-stride2-float64",
    "pacpool2d-3x3-float64",
    "guided_pacconv2d-3x3-dilation2-float64",
    "guided_pacconv_transpose2d-3x3-stride2-float64",
    "guided_pacpool2d-normalized-float64",
    "mean_field_update-3x3-float64",
}


@pytest.mark.parametrize(
    ("case", "dtype_name"),
    [
        pytest.param(
            case,
            dtype,
            id=f"{case.id}-{dtype}",
            marks=[pytest.mark.smoke] if f"{case.id}-{dtype}" in SMOKE else [],
        )
        for case in CASES
        for dtype in DTYPES
    ],
)
def test_forward(backend: Backend, case: Case, dtype_name: str) -> None:
    """Each output equals the loops of `direct_oracle`, with NaN in memory that nothing has written."""
    dtype = dtype_or_skip(backend, dtype_name)
    given = tensors(case, dtype, device_of(backend))
    with poisoned_allocations():
        outputs = call(case, given, backend)
    wanted = expected(case, given)
    assert len(outputs) == len(wanted), f"{case.id}: got {len(outputs)} outputs, expected {len(wanted)}"
    for output, right in zip(outputs, (dtype, torch.bool), strict=False):
        assert output.dtype == right, f"{case.id}: got {output.dtype}, expected {right}"
    tolerance = backend.capabilities.tolerance(dtype_name, "forward")
    for name, output, want in zip(("output", "output mask"), outputs, wanted, strict=False):
        assert_agrees(output, want, tolerance, f"{backend.name} {case.id} {name}")
