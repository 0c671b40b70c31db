"""What holds by mathematics: special cases that equal an operator which somebody else wrote.

The table of identities in docs/operators.md, each against its independent oracle.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from pacbench import functional
from pacbench.backend import Backend
from pacbench.nn import PacConvTranspose2d
from pacbench.running.device import device_of

from .bilateral_oracle import bilateral_filter
from .comparing import assert_agrees, dtype_or_skip


def _random(backend: Backend, *shape: int, seed: int = 0, dtype_name: str = "float64") -> Tensor:
    dtype, device = dtype_or_skip(backend, dtype_name), device_of(backend)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(device, dtype)


def _agrees(backend: Backend, output: Tensor, want: Tensor, what: str, tolerance: float | None = None) -> None:
    declared = backend.capabilities.tolerance(str(output.dtype).removeprefix("torch."), "forward")
    assert_agrees(output, want.double(), tolerance or declared, f"{backend.name} {what}")


CONV_GEOMETRY = {
    "3x3": ((3, 3), 1, 1, 1),
    "5x5-stride2": ((5, 5), 2, 2, 1),
    "3x5-dilation2": ((3, 5), (1, 2), (2, 4), 2),
    "7x7-no_padding": ((7, 7), 1, 0, 1),
}


@pytest.mark.parametrize("geometry", CONV_GEOMETRY.values(), ids=CONV_GEOMETRY)
def test_constant_guide_is_convolution(backend: Backend, geometry: tuple[tuple[int, int], int, int, int]) -> None:
    """Also at the border, where a padded tap has v = 0."""
    size, stride, padding, dilation = geometry
    input, weight, bias = (_random(backend, *shape) for shape in ((2, 4, 13, 15), (5, 4, *size), (5,)))
    guide = torch.full_like(input[:, :2], 0.7)
    output = functional.guided_pacconv2d(input, guide, weight, bias, stride, padding, dilation, backend=backend)
    _agrees(backend, output, F.conv2d(input, weight, bias, stride, padding, dilation), "conv2d", 1e-12)


TRANSPOSED_GEOMETRY = {
    "3x3-stride2": ((3, 3), 2, 1, 1, 1),
    "5x5-stride2-odd": ((5, 5), 2, 2, 0, 1),
    "5x5-stride4": ((5, 5), 4, 2, 3, 1),
    "3x5-dilation2": ((3, 5), (2, 3), (1, 0), (1, 0), (1, 2)),
    "3x3-stride1": ((3, 3), 1, 1, 0, 1),
}


@pytest.mark.parametrize("geometry", TRANSPOSED_GEOMETRY.values(), ids=TRANSPOSED_GEOMETRY)
def test_constant_guide_is_flipped_transposed_convolution(
    backend: Backend, geometry: tuple[tuple[int, int], int, int, int, int]
) -> None:
    """With the filter flipped in both axes: the published implementation correlates where torch convolves."""
    size, stride, padding, output_padding, dilation = geometry
    input, weight, bias = (_random(backend, *shape) for shape in ((2, 4, 5, 6), (4, 3, *size), (3,)))
    want = F.conv_transpose2d(input, weight.flip(2, 3), bias, stride, padding, output_padding, 1, dilation)
    # The guide of a constant image, seen through windows that reach over the border, is not constant: K there is
    # that of taps which hold no input, so that their value does not matter.
    guide = want.new_full((2, 3, *want.shape[2:]), 0.3)
    output = functional.guided_pacconv_transpose2d(
        input, guide, weight, bias, stride, padding, output_padding, dilation, backend=backend
    )
    _agrees(backend, output, want, "conv_transpose2d", 1e-12)


@pytest.mark.parametrize("normalize", [False, True], ids=["sum", "normalized"])
@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, 1), (5, 2, 2), (3, 3, 0)], ids=str)
def test_constant_guide_is_average_pooling(
    backend: Backend, size: int, stride: int, padding: int, normalize: bool
) -> None:
    """k² times torch's average that counts the padding; normalised: the one that does not."""
    input = _random(backend, 2, 3, 11, 13)
    output = functional.guided_pacpool2d(
        input, torch.ones_like(input), size, stride, padding, normalize_kernel=normalize, backend=backend
    )
    average = F.avg_pool2d(input, size, stride, padding, count_include_pad=not normalize)
    _agrees(backend, output, average if normalize else average * size**2, "avg_pool2d", 1e-12)


def test_shared_mean_filter_is_average_pooling(backend: Backend) -> None:
    """W = 1/F², K = 1 (Su et al., section 3.2)."""
    input = _random(backend, 2, 3, 9, 9)
    kernel = torch.ones(2, 1, 3, 3, 9, 9).to(input)
    weight = torch.full((1, 1, 3, 3), 1 / 9).to(input)
    output = functional.pacconv2d(input, kernel, weight, None, 1, 1, shared_filters=True, backend=backend)
    _agrees(backend, output, F.avg_pool2d(input, 3, 1, 1), "avg_pool2d", 1e-7)


@pytest.mark.parametrize("dtype_name", ["float64", "float32"])
def test_bilateral_filter_of_opencv(backend: Backend, dtype_name: str) -> None:
    """W = the shared spatial Gaussian, guide = grey / σ_r, against OpenCV on a grey float32 image.

    OpenCV's window is a disc; pixels whose window reaches over the border are left out.
    """
    size, sigma_space, sigma_range = 9, 2.5, 0.2
    grey = torch.rand(1, 1, 40, 50, generator=torch.Generator().manual_seed(3))
    smooth = cv2.bilateralFilter(grey[0, 0].numpy(), size, sigma_range, sigma_space)
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    square = offsets[:, None] ** 2 + offsets[None] ** 2
    spatial = torch.exp(-square / (2 * sigma_space**2)) * (square.sqrt() <= size // 2)
    dtype, device = dtype_or_skip(backend, dtype_name), device_of(backend)
    input = grey.to(device, dtype)
    weight = spatial[None, None].to(input)
    both = torch.cat([input, torch.ones_like(input)], 1)
    sums = functional.guided_pacconv2d(
        both, input / sigma_range, weight, None, 1, size // 2, shared_filters=True, backend=backend
    )
    inside = (..., slice(size, -size), slice(size, -size))
    _agrees(backend, (sums[:, :1] / sums[:, 1:])[inside], torch.from_numpy(smooth)[None, None][inside], "OpenCV", 1e-5)


@pytest.mark.parametrize("form", ["position_in_guide", "spatial_filter"])
def test_bilateral_filter_of_a_colour_image(backend: Backend, form: str) -> None:
    """Both ways to write it, against a loop in float64: guide = (yx/σ_s, rgb/σ_r), or W spatial and guide = rgb/σ_r."""
    size, sigma_space, sigma_range = 5, 1.5, 0.4
    image = torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    want = torch.from_numpy(bilateral_filter(image.numpy(), size, sigma_space, sigma_range))[None]
    input = image[None].to(device_of(backend), dtype_or_skip(backend, "float64"))
    if form == "position_in_guide":
        rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(9.0), indexing="ij")
        position = torch.stack([rows, columns])[None].to(input) / sigma_space
        guide = torch.cat([position, input / sigma_range], 1)
        output = functional.guided_pacpool2d(input, guide, size, 1, 2, normalize_kernel=True, backend=backend)
    else:
        offsets = torch.arange(size, dtype=torch.float64) - size // 2
        line = torch.exp(-(offsets**2) / (2 * sigma_space**2))
        weight = torch.outer(line, line)[None, None].to(input)
        both = torch.cat([input, torch.ones_like(input[:, :1])], 1)
        sums = functional.guided_pacconv2d(
            both, input / sigma_range, weight, None, 1, 2, shared_filters=True, backend=backend
        )
        output = sums[:, :3] / sums[:, 3:]
    _agrees(backend, output, want, "colour bilateral filter", 1e-11)


@pytest.mark.parametrize("normalize", [False, True], ids=["plain", "normalized"])
def test_linear_filler_is_bilinear_interpolation(backend: Backend, normalize: bool) -> None:
    """Transposed, stride 2, constant guide: `interpolate(align_corners=True)` to 2n - 1 samples, in the interior."""
    layer = PacConvTranspose2d(3, 3, 3, 2, 1, bias=False, filler="linear", normalize_kernel=normalize, backend=backend)
    input = _random(backend, 2, 3, 6, 8)
    layer.to(input.device, input.dtype)
    with torch.no_grad():
        output = layer(input, torch.ones_like(input[:, :1]).new_ones(2, 1, 11, 15))
    want = F.interpolate(input, size=(11, 15), mode="bilinear", align_corners=True)
    inside = (..., slice(1, -1), slice(1, -1))
    _agrees(backend, output[inside], want[inside], "interpolate", 1e-12)


@pytest.mark.parametrize("asymmetric", [False, True], ids=["symmetric", "asymmetric"])
def test_inverse_kernel_is_detail_preserving_pooling(backend: Backend, asymmetric: bool) -> None:
    """Saeedan et al., CVPR 2018, eqs. 2-5: weights α + ρ_λ(I[q] - Ĩ[p]) with ρ of the (rectified) difference.

    Ĩ is the image smoothed with [¼ ½ ¼] ⊗ itself; one channel; ε² = 1e-4 as published for the operators here.
    """
    alpha, exponent = 0.2, 0.9
    image = _random(backend, 1, 1, 10, 12).abs()
    kind = f"inv_{alpha}_{exponent}" + ("_asym" if asymmetric else "")
    output = functional.guided_pacpool2d(
        image, image, 3, 2, 1, kernel_type=kind, smooth_kernel_type="gaussian", normalize_kernel=True, backend=backend
    )
    grey = image[0, 0].double().cpu().numpy()
    smooth = cv2.filter2D(grey, -1, np.outer([1, 2, 1], [1, 2, 1]) / 16, borderType=cv2.BORDER_CONSTANT)
    want = np.zeros(tuple(output.shape[2:]))
    for y, x in np.ndindex(want.shape):
        weights, weighted = 0.0, 0.0
        for qy in range(max(0, 2 * y - 1), min(10, 2 * y + 2)):
            for qx in range(max(0, 2 * x - 1), min(12, 2 * x + 2)):
                difference = grey[qy, qx] - smooth[2 * y, 2 * x]
                difference = max(difference, 0.0) if asymmetric else difference
                weight = alpha + math.sqrt(difference**2 + 1e-4) ** exponent
                weights += weight
                weighted += weight * grey[qy, qx]
        want[y, x] = weighted / weights
    _agrees(backend, output, torch.from_numpy(want)[None, None], "detail-preserving pooling", 1e-11)


def test_1x1_filter_is_pointwise(backend: Backend) -> None:
    """A window of one tap compares f_i with itself: K = 1."""
    input, guide, weight = (_random(backend, *shape) for shape in ((2, 4, 6, 7), (2, 3, 6, 7), (5, 4, 1, 1)))
    output = functional.guided_pacconv2d(input, guide, weight, backend=backend)
    _agrees(backend, output, torch.einsum("nchw,oc->nohw", input, weight[:, :, 0, 0]), "pointwise convolution", 1e-12)


def test_guide_channels_permute(backend: Backend) -> None:
    """The order of the guide's channels does not matter."""
    input, guide, weight = (_random(backend, *shape) for shape in ((2, 4, 6, 7), (2, 5, 6, 7), (3, 4, 3, 3)))
    output = functional.guided_pacconv2d(input, guide, weight, None, 1, 1, backend=backend)
    shuffled = functional.guided_pacconv2d(input, guide[:, [3, 0, 4, 1, 2]], weight, None, 1, 1, backend=backend)
    _agrees(backend, shuffled, output, "permuted guide", 1e-12)


def test_guide_shift(backend: Backend) -> None:
    """A constant added to the guide changes outputs nowhere, and the bare kernel only where taps lie in the padding."""
    input, guide, weight = (_random(backend, *shape) for shape in ((2, 4, 6, 7), (2, 5, 6, 7), (3, 4, 3, 3)))
    output = functional.guided_pacconv2d(input, guide, weight, None, 1, 1, backend=backend)
    shifted = functional.guided_pacconv2d(input, guide + 2.5, weight, None, 1, 1, backend=backend)
    _agrees(backend, shifted, output, "shifted guide", 1e-11)
    kernel, moved = (
        functional.packernel2d(shifted_guide, kernel_size=3, padding=1, backend=backend)[0]
        for shifted_guide in (guide, guide + 2.5)
    )
    inside = (..., slice(1, -1), slice(1, -1))
    _agrees(backend, moved[inside], kernel[inside], "shifted kernel, interior", 1e-11)
    assert float((moved - kernel).abs().max()) > 1e-3, "a tap in the padding must compare f_i with 0"
