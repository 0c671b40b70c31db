"""Initial filters: interpolation, mean field, pooling."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation

from pacbench.nn import PacConv2d, PacConvTranspose2d, fillers


@pytest.mark.parametrize("shared_filters", [False, True], ids=["full", "shared"])
@pytest.mark.parametrize("normalize_kernel", [False, True], ids=["plain", "normalized"])
@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 2), (5, 2), (5, 3), (7, 4), ((5, 3), (3, 2))])
def test_linear_interpolates(
    kernel_size: int | tuple[int, int], stride: int | tuple[int, int], normalize_kernel: bool, shared_filters: bool
) -> None:
    """A stride of s takes n samples to s·(n - 1) + 1 of them, corners on corners."""
    layer = PacConvTranspose2d(
        2,
        2,
        kernel_size,
        stride,
        padding=[size // 2 for size in _pair(kernel_size)],
        filler="linear",
        normalize_kernel=normalize_kernel,
        shared_filters=shared_filters,
    )
    x = torch.randn(1, 2, 6, 7)
    height, width = (step * (size - 1) + 1 for step, size in zip(layer.stride, (6, 7), strict=True))
    with torch.no_grad():
        output = layer(x, torch.zeros(1, 1, height, width))
    expected = F.interpolate(x, (height, width), mode="bilinear", align_corners=True)
    top, left = (2 * step for step in layer.stride)
    inside = (..., slice(top, height - top), slice(left, width - left))
    assert torch.allclose(output[inside], expected[inside], atol=1e-5)
    if not normalize_kernel:
        assert torch.allclose(output, expected, atol=1e-5)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


@pytest.mark.parametrize("size", [1, 3, 5, 7, 11])
def test_mean_field_gaussian(size: int) -> None:
    """σ = size / 4, sum size² with its centre, which is then taken out."""
    gaussian = fillers.mean_field_gaussian(size)
    half = size // 2
    assert gaussian[half, half] == 0
    weights = [[math.exp(-0.5 * (y * y + x * x) / (size / 4) ** 2) for x in _offsets(half)] for y in _offsets(half)]
    expected = torch.tensor(weights, dtype=torch.float64)
    expected *= size * size / expected.sum()
    centre = expected[half, half].item()
    expected[half, half] = 0
    assert torch.allclose(gaussian, expected)
    assert gaussian.sum().item() == pytest.approx(size * size - centre)


def _offsets(half: int) -> range:
    return range(-half, half + 1)


def test_crf_is_the_compatibility_times_the_gaussian() -> None:
    layer = PacConv2d(3, 3, 5, filler="crf")
    gaussian = fillers.mean_field_gaussian(5).float()
    for output in range(3):
        for channel in range(3):
            expected = torch.zeros(5, 5) if output == channel else gaussian
            assert torch.allclose(layer.weight[output, channel], expected)
    assert layer.bias is not None
    assert (layer.bias == 0).all()


def test_crf_with_shared_filters_is_the_gaussian() -> None:
    layer = PacConv2d(3, 3, 5, filler="crf", shared_filters=True)
    assert torch.allclose(layer.weight[0, 0], fillers.mean_field_gaussian(5).float())


def test_perturbed_crf_is_within_its_bound() -> None:
    exact, perturbed = (PacConv2d(8, 8, 5, filler=filler).weight for filler in ("crf", "crf_perturbed"))
    noise = perturbed - exact
    assert noise.abs().max() <= fillers.PERTURBATION + 1e-6
    assert noise.abs().max() > 0.9 * fillers.PERTURBATION
    assert noise.mean().abs() < 0.1 * fillers.PERTURBATION


@pytest.mark.parametrize(("filler", "centre"), [("pool", 1), ("crf_pool", 0)])
def test_pool_fillers(filler: str, centre: int) -> None:
    layer = PacConv2d(2, 2, 3, filler=filler, shared_filters=True)
    assert not isinstance(layer.weight, torch.nn.Parameter)
    assert layer.weight.sum() == 8 + centre
    assert layer.weight[0, 0, 1, 1] == centre


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shared_filters", [False, True])
def test_uniform_bound(transposed: bool, shared_filters: bool) -> None:
    layer_type = PacConvTranspose2d if transposed else PacConv2d
    layer = layer_type(16, 16, 5, shared_filters=shared_filters)
    bound = (16 if shared_filters else 1) / math.sqrt(16 * 25)
    assert 0.7 * bound < layer.weight.abs().max() <= bound
    assert layer.bias is not None
    assert 0 < layer.bias.abs().max() <= bound


def test_crf_pool_needs_no_square_window() -> None:
    layer = PacConv2d(3, 3, (3, 5), filler="crf_pool", shared_filters=True)
    assert layer.weight.shape == (1, 1, 3, 5)
    assert layer.weight.sum() == 14


def test_one_class_is_compatible_with_itself() -> None:
    assert not PacConv2d(1, 1, 3, filler="crf").weight.any(), "1 - I of one class is 0"
    assert PacConv2d(1, 1, 3, filler="crf", shared_filters=True).weight.any()
