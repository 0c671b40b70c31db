"""A fault planted in a Triton kernel's source turns the gate red under the interpreter, and without one it is green."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from gate_process import run_cases
from planted_faults import BACKWARD, FORWARD, GRADIENT

FAULTS = {
    "MissingMask": f"{FORWARD}[guided_pacconv2d-3x3-dilation2-float64]",
    "WrongStride": f"{FORWARD}[pacconv2d-5x5-stride2-float64]",
    "UnwrittenTile": f"{FORWARD}[pacconv_transpose2d-5x5-stride2-float64]",
    "DroppedTap": f"{FORWARD}[pacconv2d-5x5-stride2-float64]",
    "DroppedPart": f"{BACKWARD}[pacconv2d-3x3-float64]",
    "DroppedPart numerically": f"{GRADIENT}[pacconv2d-3x3-weight-float64]",
    "MissingPaddingInPooling": f"{FORWARD}[pacpool2d-3x3-float64]",
}


@pytest.fixture(autouse=True)
def _interpreting(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed: pip install 'pacbench[triton]'")
    monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_red(fault: str, tmp_path: Path) -> None:
    backend = f"faulty_backends.triton_kernels:{fault.split()[0]}"
    end = run_cases(tmp_path, [(backend, FAULTS[fault])], smoke=False)
    assert end.outcomes(backend) == {FAULTS[fault]: "failed"}, end.outcomes(backend)


def test_the_same_cases_are_green_without_a_fault(tmp_path: Path) -> None:
    end = run_cases(tmp_path, [("triton", case) for case in dict.fromkeys(FAULTS.values())], smoke=False)
    assert set(end.outcomes("triton").values()) == {"passed"}, end.red("triton")
