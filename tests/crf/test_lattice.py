"""The permutohedral lattice against dense matrices, and against the Gaussian that it approximates."""

from __future__ import annotations

import pytest
import torch
from lattice_oracle import filter_matrix, full_keys, shift_matrix
from torch import Tensor

from pacbench.crf import PermutohedralLattice
from pacbench.crf.lattice_neighbourhood import neighbourhood

pytestmark = pytest.mark.usefixtures("needs_lattice")

DTYPES = {torch.float64: 1e-12, torch.float32: 1e-5}


def _features(dimensions: int, dtype: torch.dtype = torch.float64, spread: float = 1.5) -> Tensor:
    generator = torch.Generator().manual_seed(dimensions)
    return spread * torch.randn(dimensions, 6, 7, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("channels", [1, 3, 21, 70])
def test_the_filter_is_splat_blur_slice(dimensions: int, channels: int, dtype: torch.dtype) -> None:
    lattice = PermutohedralLattice(_features(dimensions, dtype))
    values = torch.randn(channels, 6, 7, generator=torch.Generator().manual_seed(0), dtype=dtype)
    for normalise in (False, True):
        matrix = filter_matrix(lattice, normalise=normalise)
        expected = values.double().flatten(1) @ matrix.t()
        result = lattice.filter(values, normalise=normalise)
        assert result.dtype is dtype
        assert (result.double().flatten(1) - expected).abs().max() <= DTYPES[dtype] * expected.abs().max()
        adjoint = lattice.filter(values, normalise=normalise, reverse=True).double().flatten(1)
        assert (adjoint - values.double().flatten(1) @ matrix).abs().max() <= DTYPES[dtype] * expected.abs().max()


def test_the_order_of_axes_matters_to_the_oracle() -> None:
    """Where points are missing the blur is not symmetric: a backward pass in forward order would be seen."""
    matrix = filter_matrix(PermutohedralLattice(_features(5)))
    assert (matrix - matrix.t()).abs().max() > 1e-3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dimensions", [1, 2, 3, 5, 9, 16])
def test_simplices_enclose_their_pixels(dimensions: int, dtype: torch.dtype) -> None:
    """Barycentric weights are not negative, sum to 1, and give the embedded features back."""
    features = _features(dimensions, dtype, spread=4)
    lattice = PermutohedralLattice(features)
    weights = lattice.simplices.barycentric.double()
    keys = torch.tensor(full_keys(lattice), dtype=torch.float64)
    assert keys.unique(dim=0).shape[0] == lattice.points
    assert weights.min() >= -DTYPES[dtype]
    torch.testing.assert_close(weights.sum(1), torch.ones(42).double(), rtol=0, atol=DTYPES[dtype])
    position = (weights[:, :, None] * keys[lattice.simplices.vertices.long()]).sum(1)
    flat = features.double().flatten(1)
    # Adams et al., section 3: an isometry but for the scale sqrt(2/3) (d + 1)
    distances = torch.cdist(position, position) / ((2 / 3) ** 0.5 * (dimensions + 1))
    torch.testing.assert_close(distances, torch.cdist(flat.t(), flat.t()), rtol=1e-4, atol=1e-4)


def test_points_are_those_that_pixels_touch() -> None:
    lattice = PermutohedralLattice(_features(3))
    assert lattice.simplices.vertices.unique().tolist() == list(range(lattice.points))
    assert all(sum(key) == 0 for key in full_keys(lattice))


@pytest.mark.parametrize(("colours", "bound"), [(0, 0.12), (1, 0.14), (3, 0.2)])
def test_it_approximates_the_gaussian(colours: int, bound: float) -> None:
    """A loose bound, beside a brute-force Gaussian: relative l2 error of the normalised filter of noise."""
    size = (24, 32)
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    wave = 0.5 + 0.5 * torch.sin(rows / 5) * torch.cos(columns / 7)
    image = [wave.roll(7 * channel, 1) / 0.2 for channel in range(colours)]
    features = torch.stack([columns / 3, rows / 3, *image])
    flat = features.flatten(1).t()
    gaussian = torch.exp(-0.5 * torch.cdist(flat, flat) ** 2)
    noise = torch.randn(8, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = noise.flatten(1) @ gaussian / gaussian.sum(1)
    lattice = PermutohedralLattice(features)
    filtered = (lattice.filter(noise) / lattice.filter(torch.ones(1, *size, dtype=torch.float64))).flatten(1)
    assert float((filtered - exact).norm() / exact.norm()) <= bound


@pytest.mark.parametrize("pixels", [1, 15, 16, 17, 24577, 60000])
def test_any_number_of_pixels_and_threads_gives_the_same_bits(pixels: int) -> None:
    generator = torch.Generator().manual_seed(pixels)
    features = 3 * torch.randn(3, pixels, generator=generator)
    values = torch.randn(5, pixels, generator=generator)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            lattice = PermutohedralLattice(features)
            results.append((lattice.simplices.keys, lattice.filter(values, normalise=True)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
    assert bool(torch.isfinite(results[0][1]).all())


@pytest.mark.parametrize(("dimensions", "radius", "taps"), [(2, 1, 7), (5, 1, 63), (3, 2, 65), (2, 0, 1)])
def test_a_learned_filter_is_a_sum_of_shifts(dimensions: int, radius: int, taps: int) -> None:
    lattice = PermutohedralLattice(_features(dimensions, spread=0.7))
    around = neighbourhood(dimensions, radius)
    assert around.taps == taps == (radius + 1) ** (dimensions + 1) - radius ** (dimensions + 1)
    rows = lattice.rows(torch.randn(3, 42, dtype=torch.float64))
    weight = torch.randn(taps, rows.shape[1], dtype=torch.float64)
    values = lattice.splat(rows)
    assert torch.count_nonzero(values[-1]) == 0
    convolved = lattice.convolve(values, weight, lattice.neighbours(around.offsets), around.mirrored)
    expected = torch.zeros_like(values[:-1])
    for offset, factor in zip(around.offsets.tolist(), weight, strict=True):
        expected += factor * (shift_matrix(lattice, (*offset, -sum(offset))) @ values[:-1])
    torch.testing.assert_close(convolved[:-1], expected, rtol=0, atol=1e-12)


def test_a_neighbourhood_has_its_opposites_and_its_distances() -> None:
    around = neighbourhood(5, 1)
    assert torch.equal(around.offsets[around.mirrored], -around.offsets)
    assert around.offsets[0].tolist() == [0, 0, 0, 0, 0]
    step = [5, -1, -1, -1, -1]
    place = around.offsets.tolist().index(step)
    assert float(around.squared_distances[place]) == pytest.approx(30 / 24)
    assert float(around.gaussian()[0]) == 1
    assert float(around.gaussian()[place]) == pytest.approx(0.4346, abs=1e-4)  # the blur has 1/2


def test_gradients() -> None:
    lattice = PermutohedralLattice(_features(2))
    around = neighbourhood(2, 1)
    table = lattice.neighbours(around.offsets)
    row = lattice.kernels.row(3, torch.float64)

    def convolve(values: Tensor, weight: Tensor) -> Tensor:
        rows = lattice.rows(values)
        padded = torch.nn.functional.pad(weight, (0, row - 3))
        convolved = lattice.convolve(lattice.splat(rows, lattice.normalisation), padded, table, around.mirrored)
        return lattice.slice(convolved, lattice.normalisation)[:, :3]

    values = torch.randn(3, 6, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(convolve, (values, weight))
    assert torch.autograd.gradcheck(lambda v: lattice.filter(v, normalise=True), (values,))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e7])
def test_features_that_no_lattice_has(bad: float) -> None:
    features = torch.zeros(3, 4, 5)
    features[1, 2, 3] = bad
    with pytest.raises(ValueError, match="PermutohedralLattice: got features that are not finite, or more than"):
        PermutohedralLattice(features)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"PermutohedralLattice: features are \(4,\) of torch.float32, expected"):
        PermutohedralLattice(torch.zeros(4))
    with pytest.raises(ValueError, match="PermutohedralLattice: got 17 features, expected 1 to 16"):
        PermutohedralLattice(torch.zeros(17, 2, 2))
    lattice = PermutohedralLattice(torch.zeros(2, 4, 5))
    with pytest.raises(ValueError, match=r"values are \(3, 4, 4\), expected 20 pixels of each channel"):
        lattice.filter(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match=r"offsets are \(7, 3\), expected \(taps, 2\)"):
        lattice.neighbours(torch.zeros(7, 3))
    with pytest.raises(ValueError, match="neighbourhood: got 11529 taps"):
        neighbourhood(5, 4)
