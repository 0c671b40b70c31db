"""How float32 is multiplied: by torch's switches for matrix products, old and new; cuDNN's are not asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from pacbench.backends.triton.launching import precision

SWITCHES = {
    "": "ieee",
    "torch.backends.cuda.matmul.allow_tf32 = True": "tf32",
    "torch.set_float32_matmul_precision('high')": "tf32",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'": "tf32",
    "torch.backends.fp32_precision = 'tf32'": "tf32",
    "torch.backends.fp32_precision = 'tf32'; torch.backends.cuda.matmul.fp32_precision = 'ieee'": "ieee",
    "torch.backends.cudnn.conv.fp32_precision = 'tf32'": "ieee",
}


def test_float32_follows_the_switches_of_matrix_products() -> None:
    """Each in a process of its own in turn: torch refuses a process that mixes old and new switches."""
    code = "import os, torch\nfrom pacbench.backends.triton.launching import precision\n"
    for switch in SWITCHES:
        code += f"if os.fork() == 0:\n    {switch or 'pass'}\n"
        code += "    os.write(1, (precision(torch.float32) + '\\n').encode())\n    os._exit(0)\nos.wait()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert dict(zip(SWITCHES, done.stdout.split(), strict=True)) == SWITCHES, done.stderr


@pytest.fixture
def _tf32() -> Iterator[None]:
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    yield
    torch.backends.cuda.matmul.fp32_precision = "none"


@pytest.mark.usefixtures("_tf32")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_no_other_dtype_follows_them(dtype: torch.dtype) -> None:
    assert (precision(torch.float32), precision(dtype)) == ("tf32", "ieee")
