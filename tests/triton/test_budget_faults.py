"""The resource budget turns red for kernels that are compiled with a fault, and is green for the same without one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("needs_triton")

COMPILE = """
import json, sys
from dataclasses import replace
from pacbench.backends.triton import TritonBackend, compiling
from pacbench.backends.triton.workloads import BY_NAME, launches
from pacbench.resources import compare, read_budget

TARGET = "sm_90"
launch = launches(BY_NAME["conv5x5-32"], "tf32", TARGET)[0]
right = compiling.specification(launch)

def with_constants(**changed):
    assert changed.keys() <= dict(right.constants).keys()
    return replace(right, constants=tuple({**dict(right.constants), **changed}.items()))

specifications = {
    "none": right,
    "a tile twice as high": with_constants(BH=8),
    "a quarter of the warps for it, in IEEE precision": replace(with_constants(BH=8, PRECISION="ieee"), warps=1),
    "products in IEEE precision": with_constants(PRECISION="ieee"),
    "a deeper pipeline": replace(right, stages=right.stages + 1),
}
budget = read_budget(TritonBackend().resource_budget_file()).records
found = {}
compiled = compiling.compile_all(specifications.values(), TARGET)
for fault, result in zip(specifications, compiled, strict=True):
    record = compiling._record(launch, "conv5x5-32-tf32", TARGET, result)
    differences = compare([record], [allowed for allowed in budget if allowed.key == record.key])
    found[fault] = [difference.text for difference in differences if difference.worse]
print(json.dumps(found))
"""
"""The forward convolution of 32 channels, compiled in a process of its own: what the budget says of it, by fault."""

SAID = {
    "none": [],
    "a tile twice as high": ["registers", "shared_bytes"],
    "a quarter of the warps for it, in IEEE precision": ["registers", "spilled_bytes", "stack_bytes", "ldl", "stl"],
    "products in IEEE precision": ["mma instructions 0"],
    "a deeper pipeline": ["shared_bytes"],
}
"""How the differences begin that must be among those for the worse."""


@pytest.fixture(scope="module")
def differences() -> dict[str, list[str]]:
    """The differences for the worse, by fault."""
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("fault", SAID)
def test_the_budget_says_so(fault: str, differences: dict[str, list[str]]) -> None:
    said = differences[fault]
    assert bool(said) == (fault != "none"), said
    for beginning in SAID[fault]:
        assert any(text.startswith(beginning) for text in said), said
