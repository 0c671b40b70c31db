"""Output sizes are torch's, for any window."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pacbench import functional
from pacbench.geometry import Window

odd = st.sampled_from([1, 3, 5, 7])
pair = st.tuples


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, tuple[int, int]]:
    transposed = draw(st.booleans())
    stride, dilation = (
        draw(pair(st.integers(1, 4), st.integers(1, 4))),
        draw(pair(st.integers(1, 3), st.integers(1, 3))),
    )
    extra = (
        [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)] if transposed else [0, 0]
    )
    window = Window(
        draw(pair(odd, odd)),
        stride,
        draw(pair(st.integers(0, 7), st.integers(0, 7))),
        (extra[0], extra[1]),
        dilation,
        transposed,
    )
    return window, draw(pair(st.integers(1, 9), st.integers(1, 9)))


def _torch_size(window: Window, size: tuple[int, int]) -> tuple[int, int]:
    image, weight = torch.empty(1, 1, *size, device="meta"), torch.empty(1, 1, *window.kernel_size, device="meta")
    if window.transposed:
        output = F.conv_transpose2d(
            image, weight, None, window.stride, window.padding, window.output_padding, 1, window.dilation
        )
    else:
        output = F.conv2d(image, weight, None, window.stride, window.padding, window.dilation)
    return output.shape[2], output.shape[3]


@settings(deadline=None, derandomize=True, max_examples=300)
@given(windows())
def test_window_agrees_with_torch(drawn: tuple[Window, tuple[int, int]]) -> None:
    window, size = drawn
    ours = window.output_size(size)
    if min(ours) < 1:
        if not window.transposed:  # torch gives an empty image for a transposed window that leaves 0 pixels
            with pytest.raises(RuntimeError, match=r"(?i)size"):
                _torch_size(window, size)
        return
    assert ours == _torch_size(window, size)
    if window.transposed:
        assert window.transposed_input_size(ours) == size


@settings(deadline=None, derandomize=True, max_examples=60)
@given(windows(), st.integers(0, 2))
def test_operators_give_that_size(drawn: tuple[Window, tuple[int, int]], batch: int) -> None:
    window, size = drawn
    height, width = window.output_size(size)
    assume(min(height, width) >= 1)
    image = torch.ones(batch, 2, *size)
    guide = torch.ones(batch, 3, *((height, width) if window.transposed else size))
    options = {"stride": window.stride, "padding": window.padding, "dilation": window.dilation}
    weight = torch.ones(2, 2, *window.kernel_size)
    if window.transposed:
        options["output_padding"] = window.output_padding
        kernel, _ = functional.packernel2d(guide, kernel_size=window.kernel_size, transposed=True, **options)
        output = functional.pacconv_transpose2d(image, kernel, weight, **options)
    else:
        kernel, _ = functional.packernel2d(guide, kernel_size=window.kernel_size, **options)
        output = functional.pacconv2d(image, kernel, weight, **options)
        assert functional.pacpool2d(image, kernel, window.kernel_size, **options).shape == (batch, 2, height, width)
    assert kernel.shape == (batch, 1, *window.kernel_size, height, width)
    assert output.shape == (batch, 2, height, width)
