"""Mean-field steps on a coarser grid by the native library, against what they are made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pacbench import UnavailableError
from pacbench.backend import Backend
from pacbench.backends.native import library
from pacbench.blurring import blurred_size
from pacbench.crf import ConvCRF
from pacbench.registry import get_backend

pytestmark = pytest.mark.usefixtures("needs_library")

TOLERANCE = {torch.float64: 1e-13, torch.float32: 3e-6}
SHAPES = [
    (1, 1, 7, 9, 4),
    (2, 5, 12, 150, 3),
    (1, 21, 33, 129, 4),
    (2, 3, 5, 64, 1),
    (1, 2, 4, 3, 5),
    (1, 40, 9, 300, 2),
]
"""Images, classes, height, width and factor."""


def _inputs(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, int]:
    images, classes, height, width, factor = shape
    random = torch.Generator().manual_seed(0)
    base = torch.randn(images, classes, height, width, generator=random, dtype=torch.float64) * 3
    cells = blurred_size((height, width), factor)
    message = torch.randn(images, classes, *cells, generator=random, dtype=torch.float64) * 3
    return base.to(dtype), message.to(dtype), factor


@pytest.mark.usefixtures("needs_isa")
@pytest.mark.parametrize("isa", library.ISAS)
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_each_instruction_set_agrees_with_torch(shape: tuple[int, ...], dtype: torch.dtype, isa: str) -> None:
    native, (base, message, factor) = get_backend("native"), _inputs(shape)
    given = base.to(dtype), message.to(dtype), factor
    with library.use_isa(isa):
        results = native.add_blurred(*given), native.blurred_beliefs(*given)
    for result, composed in zip(results, (Backend.add_blurred, Backend.blurred_beliefs), strict=True):
        assert result.dtype is dtype
        tolerance = TOLERANCE[dtype]
        torch.testing.assert_close(
            result.double(), composed(native, base, message, factor), rtol=tolerance, atol=tolerance
        )


def test_layouts_threads_and_values_that_are_not_finite() -> None:
    native, (base, message, factor) = get_backend("native"), _inputs((2, 6, 21, 75, 4), torch.float32)
    expected = native.blurred_beliefs(base, message, factor)
    by_channels_last = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (base, message))
    assert torch.equal(native.blurred_beliefs(*by_channels_last, factor), expected)
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            assert torch.equal(native.blurred_beliefs(base, message, factor), expected)
    finally:
        torch.set_num_threads(threads)
    base[0, 2, 5, 7], base[1, 3, 20, 74], base[1, :, 0, 0] = float("nan"), float("inf"), -float("inf")
    base[0, 1, 0, 0] = -float("inf")
    composed = Backend.blurred_beliefs(native, base, message, factor)
    torch.testing.assert_close(native.blurred_beliefs(base, message, factor), composed, equal_nan=True)
    assert native.blurred_beliefs(base[:0], message[:0], factor).shape == (0, *message.shape[1:])


@pytest.mark.parametrize("what", ["gradient", "half", "mixed"])
def test_what_the_library_does_not_compute_torch_does(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "current", lambda: pytest.fail("the library was called"))
    native, (base, message, factor) = get_backend("native"), _inputs((1, 3, 6, 7, 2))
    if what == "gradient":
        message.requires_grad_()
    else:
        base = base.bfloat16()
        message = message.bfloat16() if what == "half" else message
    result = native.blurred_beliefs(base, message, factor)
    assert torch.equal(result, Backend.blurred_beliefs(native, base, message, factor))
    assert result.requires_grad == (what == "gradient")


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_forbidden_class_stays_one(factor: int) -> None:
    """Logits of -inf where the message is, and no NaN where both cells or the weight of one would make it."""
    native, (base, message, _) = get_backend("native"), _inputs((1, 4, 8, 36, factor))
    message[:, 2] = -float("inf")
    logits = native.add_blurred(base, message, factor)
    assert bool((logits[:, 2] == -float("inf")).all())
    beliefs = native.blurred_beliefs(base, message, factor)
    assert bool((beliefs[:, 2] == 0).all())
    torch.testing.assert_close(beliefs.sum(1), torch.ones_like(beliefs[:, 0]))


@pytest.mark.parametrize(
    ("message", "factor"), [((1, 3, 1, 1), 4), ((1, 3, 3, 3), 3), ((1, 1, 3, 3), 4), ((1, 3, 3, 3), 0)]
)
def test_a_message_of_another_grid_is_refused(message: tuple[int, ...], factor: int) -> None:
    with pytest.raises(ValueError, match=r"blurred mean field: (message is|got) \(1, 3?1?, "):
        get_backend("native").add_blurred(torch.zeros(1, 3, 12, 12), torch.zeros(message), factor)


def test_conv_crf_has_the_same_result_with_gradients_and_in_one_graph() -> None:
    random = torch.Generator().manual_seed(0)
    unary, image = torch.randn(2, 5, 30, 41, generator=random), torch.rand(2, 3, 30, 41, generator=random) * 255
    crf = ConvCRF(5, 7, backend="native").double()
    expected = crf(unary.double().requires_grad_(), image.double()).detach()
    torch.testing.assert_close(crf(unary.double(), image.double()), expected, rtol=1e-12, atol=1e-12)
    for backend in ("native", "unfold"):
        crf = ConvCRF(5, 7, backend=backend).double()
        compiled = torch.compile(crf, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            torch.testing.assert_close(compiled(unary.double(), image.double()), expected, rtol=1e-12, atol=1e-12)
        torch.compiler.reset()


def test_a_stale_library_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = library.Library.bound

    def stale(self: library.Library, name: str, *types: object) -> Callable[..., int]:
        return (lambda: 8) if "blur" in name else bound(self, name, *types)

    monkeypatch.setattr(library.Library, "bound", stale)
    with pytest.raises(
        UnavailableError, match=r"blurred mean field: .* lacks .*; to mend it: build it again by python"
    ):
        get_backend("native").add_blurred(*_inputs((1, 2, 4, 4, 2)))
