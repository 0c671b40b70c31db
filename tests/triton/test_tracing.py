"""The ops where nothing is computed: shapes on a GPU that is not there, graphs of torch.compile and torch.export."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from pacbench.backends.triton import TritonBackend
from pacbench.calls import Call
from pacbench.geometry import Window

pytestmark = pytest.mark.usefixtures("needs_triton")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_fake_outputs_on_a_gpu(dtype: torch.dtype) -> None:
    window = Window((5, 5), (2, 2), (2, 2), (1, 1), transposed=True)
    with FakeTensorMode():
        input = torch.empty(2, 3, 4, 5, device="cuda", dtype=dtype)
        kernel = torch.empty(2, 1, 5, 5, 8, 10, device="cuda")
        weight = torch.empty(3, 6, 5, 5, device="cuda", dtype=dtype)
        call = Call(
            "pacconv_transpose2d",
            {"input": input, "kernel": kernel, "weight": weight, "bias": None},
            window,
            shared_filters=False,
        )
        registered = TritonBackend().registered_op(call)
        assert registered is not None
        op, arguments, _ = registered
        output, mask = op(*arguments)
        assert output.shape == (2, 6, 8, 10)
        assert output.dtype == dtype
        assert output.device.type == "cuda"
        assert mask.shape == (0,)


COMPILE = """
import torch
from pacbench import functional, use_backend
from pacbench.nn.layers import PacConv2d, PacPool2d

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = PacConv2d(2, 3, 3, padding=1, backend="triton")
        self.pooling = PacPool2d(3, stride=2, padding=1, kernel_type="inv_0.3_0.8", backend="triton")
    def forward(self, x, f):
        return self.pooling(self.convolution(x, f).relu(), f)

torch.manual_seed(0)
model, x, f = Model(), torch.randn(1, 2, 6, 7, requires_grad=True), torch.randn(1, 2, 6, 7)
def results(function):
    output = function(x, f)
    return [output, *torch.autograd.grad(output.square().sum(), [x, *model.parameters()])]
plain = results(model)
for one, other in zip(plain, results(torch.compile(model, fullgraph=True, backend="aot_eager")), strict=True):
    torch.testing.assert_close(one, other)
program = torch.export.export(model, (x.detach(), f), strict=True)
torch.testing.assert_close(program.module()(x.detach(), f), plain[0])
names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
assert "pacbench_triton.convolution.default" in names, names
print("compiled and exported")
"""


def test_models_compile_in_one_graph_and_export(interpreted_environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILE],
        env=interpreted_environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "compiled and exported" in done.stdout, done.stderr[-3000:]
