"""The gate on the CUDA kernels, on a CPU: all derivatives in CI, the rest in `tox -e deep`.

Its named subset is part of what `test_gpu_check.py` rehearses.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cuda_emulated import gate, sanitizing

from pacbench.backends.cuda import instances

OPERATORS = ("packernel2d", "pacconv2d", "pacconv_transpose2d", "pacpool2d", "guided", "mean_field_update")
"""Parts of the derivatives' cases, so that they may run side by side."""

GRADIENT = "test_gradient.py"
PIECES = (
    *sorted(file.name for file in gate.FOLDER.glob("test_*.py") if file.name != GRADIENT),
    f"{GRADIENT}: test_backward",
    f"{GRADIENT}: not test_backward",
)
"""Files of the gate, the one that takes longest in two."""

pytestmark = pytest.mark.usefixtures("emulated_library")


@pytest.mark.parametrize("operator", OPERATORS)
def test_derivatives(operator: str, tmp_path: Path) -> None:
    """Numerical derivatives in float64 of every call with respect to every argument."""
    named = "guided_" if operator == "guided" else f"Backend-{operator}-"
    gate.run(tmp_path, "-k", f"test_gradient and {named} and float64", str(gate.FOLDER / "test_gradient.py"))


@pytest.mark.deep
@pytest.mark.parametrize("piece", PIECES)
def test_whole_gate(piece: str, tmp_path: Path, green_once: Callable[..., Callable[..., None]]) -> None:
    write_down = green_once("gate", file=piece)
    file, _, only = piece.partition(": ")
    write_down(gate=gate.run(tmp_path, str(gate.FOLDER / file), *(["-k", only] if only else [])))


@pytest.mark.deep
def test_smoke_under_address_sanitizer(tmp_path: Path, green_once: Callable[..., Callable[..., None]]) -> None:
    """Every operator, in every dtype somewhere, forwards and backwards, on small sizes and with odd options."""
    check = "memory"
    if sanitizing.runtime_of(check) is None:
        pytest.skip(f"the C++ compiler has no {sanitizing.SANITIZERS[check].runtime}")
    write_down = green_once("smoke", sanitizer=check)
    library = sanitizing.build(tmp_path, check, parts=tuple(instances.PARTS))
    variables = sanitizing.variables(library, check)
    write_down(gate=gate.run(tmp_path, "-m", "smoke", str(gate.FOLDER), **variables))
