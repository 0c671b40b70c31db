"""What windows are made from, where they lie on a guide, and the output size of pooling."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from pacbench import functional, get_backend
from pacbench.arguments import window as checked_window
from pacbench.centres import centres
from pacbench.geometry import Window


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 3, 5])),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(0, 3), st.integers(0, 2)),
)
def test_output_size_is_that_of_avg_pool2d(size, kernel_size, stride, padding):
    assume(all(p <= k // 2 for p, k in zip(padding, kernel_size, strict=True)))
    window = Window(kernel_size, stride, padding)
    assume(min(window.output_size(size)) >= 1)
    pooled = nn.AvgPool2d(kernel_size, stride, padding)(torch.zeros(1, 1, *size))
    assert window.output_size(size) == tuple(pooled.shape[2:])


def test_one_int_is_a_pair():
    window = checked_window("operator", 3, 2, [1, 0], 1, (2, 1), transposed=True)
    assert window == Window((3, 3), (2, 2), (1, 0), (1, 1), (2, 1), transposed=True)


@pytest.mark.parametrize("padding", [0, 1, 5])
def test_a_transposed_window_is_centred_on_the_guide(padding):
    window = Window((5, 3), (2, 2), (padding, padding), dilation=(1, 2), transposed=True)
    assert window.over_guide == Window((5, 3), padding=(2, 2), dilation=(1, 2))
    assert window.over_guide.output_size((9, 8)) == (9, 8)


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [((1, 1), 5, 2), ((1, 1), 9, 4), ((2, 7), 5, 4), ((3, 1), 7, 5)]
)
def test_centres_farther_outside_than_the_image_is_large(size, stride, padding, smoothed):
    generator = torch.Generator().manual_seed(0)
    guide = torch.rand(1, 2, *size, generator=generator, dtype=torch.float64)
    window = Window((1, 1), (stride, stride), (padding, padding))
    smooth_kernel = torch.rand(1, 1, 3, 3, generator=generator, dtype=torch.float64) if smoothed else None
    padded = nn.functional.pad(guide, [padding + 1] * 4)
    if smooth_kernel is not None:
        padded = nn.functional.conv2d(nn.functional.pad(padded, [1] * 4), smooth_kernel.expand(2, 1, 3, 3), groups=2)
    expected = padded[..., 1:-1, 1:-1][..., ::stride, ::stride]
    height, width = window.output_size(size)
    torch.testing.assert_close(centres(guide, window, smooth_kernel), expected[..., :height, :width])


@pytest.mark.parametrize("backend", ["unfold", "inductor", "native"])
def test_a_transposed_window_may_crop_more_than_the_image(backend):
    """The padding cuts both sides of a pixel away; the output's padding puts zeros in the place of one."""
    if reasons := get_backend(backend).unavailable_reasons():
        pytest.skip("; ".join(map(str, reasons)))
    generator = torch.Generator().manual_seed(0)
    input, weight = (torch.rand(*shape, generator=generator) for shape in ((1, 1, 1, 1), (1, 1, 1, 1)))
    options = {"padding": (2, 0), "output_padding": (4, 0), "dilation": (13, 1)}
    expected = nn.functional.conv_transpose2d(input, weight, **options)
    kernel = torch.ones(1, 1, 1, 1, *expected.shape[2:])
    torch.testing.assert_close(
        functional.pacconv_transpose2d(input, kernel, weight, **options, backend=backend), expected
    )
