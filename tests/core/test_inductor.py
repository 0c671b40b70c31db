"""The `inductor` backend: what the gate does not ask of it. Each compilation takes seconds, so there are few."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch._dynamo.utils import counters

from pacbench import NotSupportedError, UnavailableError, functional
from pacbench.backends.inductor import InductorBackend, toolchain

BACKEND = InductorBackend()
needs_compiler = pytest.mark.skipif(
    bool(BACKEND.unavailable_reasons()), reason="; ".join(map(str, BACKEND.unavailable_reasons()))
)


@pytest.fixture(scope="module")
def graphs() -> Iterator[SimpleNamespace]:
    """`graphs.new()`: how many were compiled since it was last asked."""
    seen = counters["stats"]["unique_graphs"]

    def new() -> int:
        nonlocal seen
        before, seen = seen, counters["stats"]["unique_graphs"]
        return int(seen - before)

    return SimpleNamespace(new=new)


def _tensors(n: int, c: int, g: int, o: int, h: int, w: int) -> list[torch.Tensor]:
    shapes = ((n, c, h, w), (n, g, h, w), (o, c, 3, 3), (o,))
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def _both(tensors: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    input, guide, weight, bias = tensors
    outputs = [
        functional.guided_pacconv2d(input, guide, weight, bias, stride=2, padding=1, backend=backend)
        for backend in (BACKEND, "unfold")
    ]
    return outputs[0], outputs[1]


@needs_compiler
def test_one_graph_each_way_serves_every_size_and_layout(graphs: SimpleNamespace) -> None:
    graphs.new()
    sizes = [(2, 3, 2, 4, 9, 8), (2, 2, 2, 2, 8, 8), (3, 5, 4, 6, 12, 7)]
    for size in sizes:
        tensors = _tensors(*size)
        tensors[0] = tensors[0].to(memory_format=torch.channels_last)
        tensors[1] = tensors[1][:, :1].expand(-1, size[2], -1, -1)
        output, expected = _both(tensors)
        assert torch.allclose(output, expected, atol=1e-5)
        cotangent = torch.randn_like(expected)
        ours = torch.autograd.grad(output, tensors, cotangent, retain_graph=True)
        for gradient, right in zip(ours, torch.autograd.grad(expected, tensors, cotangent), strict=True):
            assert torch.allclose(gradient, right, atol=1e-4)
        again = torch.autograd.grad(output, tensors, cotangent)
        assert all(torch.equal(first, second) for first, second in zip(ours, again, strict=True))
    assert graphs.new() == 2


@needs_compiler
def test_an_empty_batch_compiles_nothing(graphs: SimpleNamespace) -> None:
    graphs.new()
    tensors = _tensors(0, 3, 2, 4, 9, 8)
    output, _ = _both(tensors)
    assert output.shape == (0, 4, 5, 4)
    output.sum().backward()
    assert all(tensor.grad is not None and not tensor.grad.any() for tensor in tensors)
    assert graphs.new() == 0


@needs_compiler
def test_a_second_derivative_is_refused() -> None:
    tensors = _tensors(2, 3, 2, 4, 9, 8)
    output, _ = _both(tensors)
    (gradient,) = torch.autograd.grad(output.square().sum(), tensors[1], create_graph=True)
    assert gradient.requires_grad
    with pytest.raises(NotSupportedError, match="backend inductor: got a second derivative, expected first"):
        torch.autograd.grad(gradient.sum(), tensors[0])


@needs_compiler
@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"mask": torch.ones(1, 1, 5, 5)}, "mask"),
        ({"kernel_type": "inv_1_1"}, "inv_kernel"),
        ({"smooth_kernel_type": "gaussian"}, "smooth_kernel"),
    ],
)
def test_what_it_leaves_to_others(options: dict[str, object], name: str) -> None:
    with pytest.raises(NotSupportedError, match=f"  inductor: option {name} is not supported\n"):
        functional.packernel2d(torch.ones(1, 1, 5, 5), kernel_size=3, backend=BACKEND, **options)  # type: ignore[arg-type]


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    def none_found() -> str:
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none_found)
    with pytest.raises(UnavailableError, match=r"no working C\+\+ compiler; to mend it: install g\+\+ or clang\+\+"):
        functional.packernel2d(torch.ones(1, 1, 5, 5), kernel_size=3, backend=InductorBackend())


def test_without_headers_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.sysconfig, "get_path", lambda name: f"/nowhere/{name}")
    reasons = [str(reason) for reason in InductorBackend().unavailable_reasons()]
    assert any("Python's C headers are not in /nowhere/include; to mend it: install them" in text for text in reasons)


def test_a_gpu_needs_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    assert toolchain.missing_for("cpu") == []
    assert toolchain.missing_for("cuda") == [
        "torch.compile needs triton on GPUs, which is not installed (pip install 'pacbench[triton]')"
    ]
