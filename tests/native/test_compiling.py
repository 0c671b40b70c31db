"""`torch.compile` and `torch.export` of models with PAC layers, by the default backend and by name."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from pacbench import functional, use_backend
from pacbench.backends.inductor import InductorBackend
from pacbench.nn.layers import PacConv2d, PacConvTranspose2d, PacPool2d

pytestmark = pytest.mark.usefixtures("needs_library")

GRAPHS: list[set[str]] = []


class Model(nn.Module):
    """Every layer, masks and a learnt smoothing apart from one another."""

    def __init__(self, backend: str | None = None) -> None:
        super().__init__()
        self.convolution = PacConv2d(3, 4, 3, padding=1, smooth_kernel_type="full_3", backend=backend)
        self.pooling = PacPool2d(3, stride=2, padding=1, kernel_type="inv_0.3_0.8", backend=backend)
        self.upsampling = PacConvTranspose2d(4, 2, 5, stride=2, padding=2, output_padding=1, backend=backend)

    def forward(self, input: Tensor, guide: Tensor) -> Tensor:
        features = self.convolution(input, guide).relu()
        return self.upsampling(self.pooling(features, guide), guide).tanh()


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    torch.compiler.reset()
    GRAPHS.clear()
    yield
    torch.compiler.reset()


def _counting(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
    """A compiler that compiles nothing, and writes down which functions a graph calls."""
    GRAPHS.append({str(node.target) for node in graph.graph.nodes if node.op == "call_function"})
    return graph.forward


def _tensors(height: int = 10, width: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(2, channels, height, width, generator=generator) for channels in (3, 2)]
    return made[0].requires_grad_(), made[1].requires_grad_()


def _results(function: Callable[..., Tensor], model: nn.Module, tensors: tuple[Tensor, ...]) -> list[Tensor]:
    output = function(*tensors)
    return [output, *torch.autograd.grad(output.square().sum(), [*tensors, *model.parameters()])]


def _assert_same(results: list[Tensor], expected: list[Tensor]) -> None:
    for result, want in zip(results, expected, strict=True):
        assert torch.allclose(result, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", [None, "native", "unfold"])
def test_compile_is_one_graph_each_way(backend: str | None) -> None:
    model = Model(backend)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for size in ((10, 12), (8, 14)):
        tensors = _tensors(*size)
        _assert_same(_results(compiled, model, tensors), _results(model, model, tensors))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler about torch itself
@pytest.mark.skipif(
    bool(InductorBackend().unavailable_reasons()), reason="; ".join(map(str, InductorBackend().unavailable_reasons()))
)
def test_compile_by_inductor() -> None:
    model = Model()
    tensors = _tensors()
    _assert_same(_results(torch.compile(model, fullgraph=True), model, tensors), _results(model, model, tensors))


def test_compile_for_any_size() -> None:
    model = Model()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for size in ((10, 12), (8, 14), (16, 6)):
            tensors = _tensors(*size)
            _assert_same(_results(compiled, model, tensors), _results(model, model, tensors))


def test_compile_with_a_mask_and_under_autocast() -> None:
    input, guide = _tensors()
    weight = torch.randn(4, 3, 3, 3)
    mask = torch.rand(2, 1, 10, 12) > 0.5

    def function() -> tuple[Tensor, Tensor]:
        output: tuple[Tensor, Tensor] = functional.guided_pacconv2d(input, guide, weight, padding=1, mask=mask)
        return output

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            output, output_mask = compiled()
            want, want_mask = function()
        assert output.dtype == want.dtype == (torch.bfloat16 if enabled else torch.float32)
        assert torch.equal(output, want)
        assert torch.equal(output_mask, want_mask)


def test_a_compiled_function_is_traced_anew_in_another_block() -> None:
    model = PacConv2d(3, 4, 3, padding=1)
    compiled = torch.compile(model, fullgraph=True, backend=_counting)
    input, guide = (tensor.detach() for tensor in _tensors())
    with torch.no_grad():
        expected = compiled(input, guide)
        with use_backend("unfold"):
            assert torch.allclose(compiled(input, guide), expected, atol=1e-5)
        compiled(input, guide)
        with use_backend("native"):
            compiled(input, guide)
    assert ["pacbench_native.convolution.default" in graph for graph in GRAPHS] == [True, False, True]


def test_export() -> None:
    model = Model().eval()
    tensors = _tensors()
    program = torch.export.export(model, tensors)
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "pacbench_native.convolution.default" in targets
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    assert torch.allclose(torch.export.load(file).module()(*tensors), model(*tensors))


def test_export_for_any_batch() -> None:
    model = Model().eval()
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(model, _tensors(), dynamic_shapes=({0: batch}, {0: batch}))
    tensors = tuple(tensor.repeat(3, 1, 1, 1) for tensor in _tensors())
    assert torch.allclose(program.module()(*tensors), model(*tensors))
