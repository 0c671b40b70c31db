"""The gate under Triton's interpreter, as a user calls it, and what only a mended interpreter can show."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

PARTS = {"smoke": (["--smoke"], 20), "whole": ([], 2400)}
"""Words of the command, and how many cases must pass: in the whole gate every operator, forward and backward, in
float64, float32 and float16, which takes more than ten minutes of one core."""


@pytest.mark.parametrize("part", ["smoke", pytest.param("whole", marks=pytest.mark.deep)])
def test_gate_is_green(part: str, tmp_path: Path, interpreted_environment: dict[str, str]) -> None:
    junit = tmp_path / "gate.xml"
    words, at_least = PARTS[part]
    command = [sys.executable, "-c", "from pacbench.command_line import main; main()"]
    done = subprocess.run(
        [*command, "verify", "--backend", "triton", "--junit", str(junit), *words],
        env=interpreted_environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    suite = next(ElementTree.parse(junit).iter("testsuite"))  # noqa: S314 - our own file
    total, failed, skipped = (int(suite.attrib[name]) for name in ("tests", "failures", "skipped"))
    assert failed == int(suite.attrib["errors"]) == 0
    assert total - skipped >= at_least


EITHER_WAY = "(test_forward or test_backward)"
CHOSEN = {
    "float64": ("triton", f"{EITHER_WAY} and float64 and (3x3 or 5x5 or normalized or inv)", 80),
    "bfloat16": (
        "mended_triton:MendedTriton",
        f"{EITHER_WAY} and bfloat16 and (3x3 or 5x5 or channels or normalized)",
        50,
    ),
    "float32 as inexact as on a GPU": ("mended_triton:InexactTriton", "test_backward and float32 and inv", 5),
}
"""Backend, cases of the gate, and how many of them must pass; bfloat16 by an interpreter that is mended for it."""


@pytest.mark.parametrize("dtype", CHOSEN)
def test_cases_of_the_gate(dtype: str, tmp_path: Path, interpreted_environment: dict[str, str]) -> None:
    backend, chosen, at_least = CHOSEN[dtype]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini")]
    words += ["--pyargs", "pacbench.suites.gradients", f"--pacbench-backend={backend}", "-k", chosen]
    done = subprocess.run(words, env=interpreted_environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= at_least, done.stdout[-500:]


def test_tf32_rounds_to_ten_bits(tmp_path: Path, interpreted_environment: dict[str, str]) -> None:
    """With `torch.backends.cuda.matmul.allow_tf32` outputs have errors of tf32's size, neither less nor more."""
    code = (
        "import torch; from pacbench.functional import guided_pacconv2d as run; from mended_triton import Tf32Triton; "
        "generator = torch.Generator().manual_seed(0); "
        "v, f, w = (torch.randn(shape, generator=generator) for shape in ((1, 8, 9, 9), (1, 3, 9, 9), (8, 8, 3, 3))); "
        "want = run(v.double(), f.double(), w.double(), None, 1, 1, backend='unfold'); "
        "got = run(v, f, w, None, 1, 1, backend=Tf32Triton()); "
        "print(float((got - want).abs().max() / want.abs().max()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=interpreted_environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 1e-5 < float(done.stdout) < 2e-3
