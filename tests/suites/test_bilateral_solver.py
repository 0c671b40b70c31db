"""The fast bilateral solver: against a dense solution of its definition, and on the authors' own case."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pacbench.suites.joint_upsampling.bilateral_grid import Bandwidths, BilateralGrid
from pacbench.suites.joint_upsampling.bilateral_solver import BilateralSolver, sample_confidence, solve
from pacbench.suites.joint_upsampling.sampling import low_resolution


def dense_affinity(guide, widths):
    """The bistochastised affinity of the simplified grid, pixel by pixel: Ŵ and its row sums, from the paper's text."""
    height, width, channels = guide.shape
    cells = []
    for y, x in itertools.product(range(height), range(width)):
        cell = [int(x // widths.place), int(y // widths.place)]
        if channels == 1:
            cell.append(int(guide[y, x, 0] // widths.luminance))
        else:
            r, g, b = guide[y, x]
            luma = 0.299 * r + 0.587 * g + 0.114 * b
            cell.append(int(luma // widths.luminance))
            cell.append(int((0.564 * (b - luma) + 128) // widths.chrominance))
            cell.append(int((0.713 * (r - luma) + 128) // widths.chrominance))
        cells.append(tuple(cell))
    vertices = list(dict.fromkeys(cells))
    splat = np.array([[float(cell == vertex) for cell in cells] for vertex in vertices])
    blur = np.zeros((len(vertices), len(vertices)))
    for i, one in enumerate(vertices):
        for j, other in enumerate(vertices):
            apart = sum(abs(a - b) for a, b in zip(one, other, strict=True))
            blur[i, j] = 2.0 * len(one) if apart == 0 else float(apart == 1)
    n, pixels = np.ones(len(vertices)), splat.sum(1)
    for _ in range(10):
        n = np.sqrt(n * pixels / (blur @ n))
    m = n * (blur @ n)
    return splat, np.diag(n) @ blur @ np.diag(n), m


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("smoothness", [0.5, 20.0])
def test_it_is_the_minimum_of_the_definition(channels, smoothness):
    rng = np.random.default_rng(channels)
    guide = np.round(rng.random((9, 11, channels)) * 255)
    target, confidence = rng.random((9, 11)) * 50, rng.random((9, 11))
    confidence[2:5, 3:6] = 0
    widths = Bandwidths(3.0, 100.0, 60.0)
    splat, affinity, m = dense_affinity(guide, widths)

    def cost(y):
        """λ/2 Σ Ŵ (x - x')² between vertices, and the data term between pixels."""
        smooth = 0.5 * (affinity * (y[:, None] - y) ** 2).sum()
        return smoothness * smooth + (confidence.ravel() * (splat.T @ y - target.ravel()) ** 2).sum()

    solved = solve(BilateralGrid(guide, widths), target, confidence, smoothness, tolerance=1e-12, iterations=500)
    system = smoothness * (np.diag(m) - affinity) + np.diag(splat @ confidence.ravel())
    vertices = np.linalg.solve(system, splat @ (confidence * target).ravel())
    np.testing.assert_allclose(solved.ravel(), splat.T @ vertices, rtol=1e-8)
    least = cost(vertices)
    for step in rng.normal(0, 0.1, (20, len(vertices))):
        assert cost(vertices + step) > least


def test_what_has_no_confidence_does_not_matter():
    rng = np.random.default_rng(0)
    guide, target, confidence = rng.random((8, 8, 3)) * 255, rng.random((8, 8)), rng.random((8, 8))
    confidence[3] = 0
    grid = BilateralGrid(guide, Bandwidths(4.0, 64.0, 64.0))
    spoilt = target.copy()
    spoilt[3] = np.nan
    np.testing.assert_array_equal(solve(grid, target, confidence, 2.0), solve(grid, spoilt, confidence, 2.0))


def test_an_edge_of_the_guide_holds_values_apart():
    guide = torch.zeros(3, 16, 32)
    guide[:, :, 16:] = 200.0
    truth = torch.full((1, 16, 32), 10.0)
    truth[:, :, 16:] = 50.0
    low = low_resolution(guide, truth, torch.ones(16, 32, dtype=torch.bool), 4)
    solved = BilateralSolver(8.0, 8.0)(low)[0, 0]
    torch.testing.assert_close(solved, truth[0], atol=6.0, rtol=0)
    blind = BilateralSolver(500.0, 8.0)(low)[0, 0]
    assert float((blind - truth[0]).abs().max()) > 10


@pytest.mark.parametrize("size", [(16, 24), (13, 18)])
@pytest.mark.parametrize("factor", [3, 4])
def test_confidence_is_a_gaussian_of_the_distance_to_the_nearest_known_sample(size, factor):
    known = torch.rand(size, generator=torch.Generator().manual_seed(0)) < 0.7
    low = low_resolution(torch.zeros(3, *size), torch.zeros(1, *size), known, factor)
    start = (factor - 1) // 2
    found = sample_confidence(low)
    for y, x in itertools.product(range(size[0]), range(size[1])):
        apart = {
            (sy - y) ** 2 + (sx - x) ** 2: bool(known[sy, sx])
            for sy in range(start, size[0], factor)
            for sx in range(start, size[1], factor)
        }
        nearest = min(apart)
        expected = np.exp(-0.5 * nearest / (factor / 4) ** 2)
        assert found[y, x] in (pytest.approx(expected), 0.0)
        if all(known[start::factor, start::factor].flatten()):
            assert found[y, x] == pytest.approx(expected)
    assert (found[start::factor, start::factor] == known[start::factor, start::factor].numpy()).all()


def test_the_authors_case():
    """Their reference, target and confidence, with the settings of their example: the error falls by a fifth."""
    named = os.environ.get("PACBENCH_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = root / "depth_bilateral_solver"
    if not folder.is_dir():
        pytest.skip(f"no real samples: {folder} is not there")
    reference = cv2.imread(str(folder / "reference.png"))[:, :, ::-1].astype(np.float64)
    target, confidence = (cv2.imread(str(folder / f"{name}.png"), -1) / 65535 for name in ("target", "confidence"))
    truth = cv2.imread(str(folder / "ground_truth.png"), -1) / 255
    solved = solve(BilateralGrid(reference, Bandwidths(8.0, 4.0, 4.0)), target, confidence, 128.0)

    def rmse(values):
        return 255 * float(np.sqrt(((values - truth) ** 2).mean()))

    assert rmse(target) == pytest.approx(9.60, abs=0.01)
    assert rmse(solved) == pytest.approx(7.51, abs=0.05)
