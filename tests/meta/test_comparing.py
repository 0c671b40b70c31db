"""What the gate judges by: its comparison, its oracle, its poison and its list of cases."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pacbench.calls import OPERATORS
from pacbench.suites.gradients import cases, samples
from pacbench.suites.gradients.cases import CASES, PLAIN, Case
from pacbench.suites.gradients.comparing import assert_agrees, poisoned_allocations
from pacbench.suites.gradients.direct_oracle import expected
from pacbench.suites.gradients.test_error_inputs import ERROR_INPUTS

NAN, INF = math.nan, math.inf


def values(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


class TestAssertAgrees:
    @pytest.mark.parametrize(
        ("actual", "expected", "tolerance"),
        [
            (values(1, 2), values(1, 2), 0),
            (values(1 + 9e-7, 0), values(1, 0), 1e-6),
            (values(1000, 1e-3), values(1000, 0), 1e-6),
            (values(0, 0), values(0, 0), 0),
            (values(NAN, INF, -INF, 1), values(NAN, INF, -INF, 1), 0),
            (values(NAN, 2.002), values(NAN, 2), 1e-3),
            (torch.zeros(0, 3), torch.zeros(0, 3), 0),
            (torch.tensor(1.5), torch.tensor(1.5), 0),
            (torch.tensor([True, False]), values(1, 0), 0),
            (torch.tensor([1.0], dtype=torch.float16, requires_grad=True), np.array([1.0]), 0),
        ],
        ids=str,
    )
    def test_agreement(self, actual: torch.Tensor, expected: torch.Tensor, tolerance: float):
        assert_agrees(actual, expected, tolerance, "output")

    @pytest.mark.parametrize(
        ("actual", "expected", "message"),
        [
            (torch.zeros(2, 3), torch.zeros(3, 2), r"output: got shape (2, 3), expected (3, 2)"),
            (torch.zeros(1, 3), torch.zeros(3), r"got shape (1, 3), expected (3,)"),
            (torch.zeros(0, 3), torch.zeros(0, 2), r"got shape (0, 3), expected (0, 2)"),
            (torch.zeros(1), torch.zeros(0), r"got shape (1,), expected (0,)"),
            (values(1, NAN), values(1, 2), "got nan at (1,), expected 2.0 (1 such values)"),
            (values(1, 2), values(1, NAN), "got 2.0 at (1,), expected nan"),
            (values(INF, INF), values(1, 2), "got inf at (0,), expected 1.0 (2 such values)"),
            (values(-INF, 1), values(INF, 1), "got -inf at (0,), expected inf"),
            (values(NAN, 1), values(INF, 1), "got nan at (0,), expected inf"),
            (values(1, 2.1), values(1, 2), "got 2.1 at (1,), expected 2: error 5.00e-02 of the largest value"),
            (values(1e-20), values(0), "expected 0: error 1.00e+10 of the largest value"),
            (values(INF, 1.1), values(INF, 1), "error 1.00e-01"),
            (torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "got 5 at (1, 1)"),
        ],
        ids=str,
    )
    def test_disagreement(self, actual: torch.Tensor, expected: torch.Tensor, message: str):
        with pytest.raises(AssertionError, match=re.escape(message)):
            assert_agrees(actual, expected, 1e-3, "output")

    @pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
    def test_tolerance_is_relative_to_the_largest_value_expected(self, scale: float):
        """Errors of a power of two, so that the border itself is met exactly."""
        want, error = values(0.25, -1.0, 0.0) * scale, values(0.0, 0.0, 2**-10) * scale
        assert_agrees(want + error, want, 2**-10, "output")
        with pytest.raises(AssertionError, match="expected at most"):
            assert_agrees(want + error * 1.001, want, 2**-10, "output")

    def test_a_large_wrong_value_does_not_raise_the_scale(self):
        with pytest.raises(AssertionError, match=r"error 5.00e\+05 of the largest value"):
            assert_agrees(values(1, 1e6), values(1, 2), 0.5, "output")


HAND_MADE = Case("guided_pacconv2d", "hand", size=(3, 3), batch=1, channels=1, outputs=1, guide_channels=1, padding=1)
"""A 3 x 3 image 1 … 9, and a guide whose centre differs so that K is ½ between it and all others, and else 1."""

IMAGE = torch.arange(1.0, 10.0, dtype=torch.float64).view(1, 1, 3, 3)
GUIDE = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
GUIDE[0, 0, 1, 1] = math.sqrt(2 * math.log(2))  # exp(-½ d²) = ½


def only_tap(row: int, column: int) -> torch.Tensor:
    """A filter that copies one neighbour."""
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, row, column] = 1
    return weight


class TestDirectOracle:
    def test_sum_over_the_window(self):
        given = {"input": IMAGE, "guide": GUIDE, "weight": torch.ones(1, 1, 3, 3), "bias": values(100)}
        (output,) = expected(HAND_MADE, given)
        # Corner: 1 + 2 + 4 + 5/2; edge: 1 + 2 + 3 + 4 + 6 + 5/2; centre: 5 + (1 + 2 + 3 + 4 + 6 + 7 + 8 + 9)/2.
        by_hand = [[9.5, 18.5, 13.5], [24.5, 25.0, 30.5], [21.5, 36.5, 25.5]]
        np.testing.assert_allclose(output[0, 0], np.array(by_hand) + 100, rtol=1e-14)

    def test_the_filter_is_correlated(self):
        """The tap above the centre reads the pixel above."""
        (output,) = expected(HAND_MADE, {"input": IMAGE, "guide": GUIDE, "weight": only_tap(0, 1)})
        np.testing.assert_allclose(output[0, 0], [[0, 0, 0], [1, 2 / 2, 3], [4, 5 / 2, 6]], rtol=1e-14)

    def test_stride_and_dilation(self):
        given = {"input": IMAGE, "guide": GUIDE, "weight": torch.ones(1, 1, 3, 3)}
        (output,) = expected(replace(HAND_MADE, stride=2), given)
        np.testing.assert_allclose(output[0, 0], [[9.5, 13.5], [21.5, 25.5]], rtol=1e-14)
        (output,) = expected(replace(HAND_MADE, dilation=2, padding=2), given)
        # Two pixels apart: from a corner the corners, from an edge the edge across, from the centre itself alone.
        by_hand = [[20, 2 + 8, 20], [4 + 6, 5, 4 + 6], [20, 2 + 8, 20]]
        np.testing.assert_allclose(output[0, 0], by_hand, rtol=1e-14)

    def test_kernel_and_its_normalisation(self):
        case = replace(HAND_MADE, operator="packernel2d")
        (kernel,) = expected(case, {"guide": GUIDE})
        assert kernel.shape == (1, 1, 3, 3, 3, 3)
        np.testing.assert_allclose(kernel[0, 0, :, :, 1, 1], [[0.5, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 0.5]])
        # A tap in the padding compares f_i with 0, which is what the corner's own guide is.
        np.testing.assert_allclose(kernel[0, 0, :, :, 0, 0], [[1, 1, 1], [1, 1, 1], [1, 1, 0.5]])
        (kernel,) = expected(replace(case, normalize_kernel=True), {"guide": GUIDE})
        np.testing.assert_allclose(kernel[0, 0, :, :, 1, 1], [[0.1, 0.1, 0.1], [0.1, 0.2, 0.1], [0.1, 0.1, 0.1]])
        corner = np.array([[0, 0, 0], [0, 2, 2], [0, 2, 1]]) / 7
        np.testing.assert_allclose(kernel[0, 0, :, :, 0, 0], corner)

    def test_mask(self):
        mask = torch.ones(1, 1, 3, 3, dtype=torch.float64)
        mask[0, 0, 0, 0] = 0
        given = {"input": IMAGE, "guide": GUIDE, "weight": torch.ones(1, 1, 3, 3), "mask": mask}
        output, output_mask = expected(replace(HAND_MADE, mask="random"), given)
        # The corner sees 3 valid taps of 4 inside: (2 + 4 + 5/2) / (3/4). The centre: (25 - 1/2) / (8/9).
        np.testing.assert_allclose(output[0, 0, 0, 0], 34 / 3, rtol=1e-14)
        np.testing.assert_allclose(output[0, 0, 1, 1], 24.5 * 9 / 8, rtol=1e-14)
        np.testing.assert_allclose(output[0, 0, 2, 2], 25.5, rtol=1e-14)
        assert output_mask.all()
        output, output_mask = expected(replace(HAND_MADE, mask="nothing"), given | {"mask": mask * 0})
        assert not output.any()
        assert not output_mask.any()

    def test_inverse_kernel(self):
        case = replace(HAND_MADE, operator="packernel2d", kernel_type="inv_0.5_2", learnt_inv=False)
        (kernel,) = expected(case, {"guide": GUIDE})
        np.testing.assert_allclose(kernel[0, 0, 0, 0, 1, 1], 0.5 + 2 * math.log(2) + 1e-4, rtol=1e-14)
        (kernel,) = expected(replace(case, kernel_type="inv_0.5_2_asym"), {"guide": GUIDE})
        # Rectified f_j - f_i: from the centre every neighbour is lower; to the centre it is not.
        np.testing.assert_allclose(kernel[0, 0, 0, 0, 1, 1], 0.5 + 1e-4, rtol=1e-14)
        np.testing.assert_allclose(kernel[0, 0, 2, 2, 0, 0], 0.5 + 2 * math.log(2) + 1e-4, rtol=1e-14)

    def test_smoothing(self):
        """f_i at the centre is a quarter of the guide's peak, f_j is the guide itself."""
        case = replace(HAND_MADE, operator="packernel2d", smooth_kernel_type="gaussian")
        (kernel,) = expected(case, {"guide": GUIDE})
        np.testing.assert_allclose(kernel[0, 0, 0, 0, 1, 1], 0.5 ** (1 / 16), rtol=1e-14)
        np.testing.assert_allclose(kernel[0, 0, 1, 1, 1, 1], 0.5 ** (9 / 16), rtol=1e-14)

    def test_transposed(self):
        """Zeros between the pixels, then the filter is correlated."""
        case = replace(HAND_MADE, operator="guided_pacconv_transpose2d", size=(2, 2), stride=2)
        image = values(1, 2, 3, 4).view(1, 1, 2, 2)
        given = {"input": image, "guide": GUIDE, "weight": only_tap(0, 1)}
        (output,) = expected(case, given)
        np.testing.assert_allclose(output[0, 0], [[0, 0, 0], [1, 0, 2], [0, 0, 0]])
        (output,) = expected(case, given | {"weight": torch.ones(1, 1, 3, 3)})
        np.testing.assert_allclose(output[0, 0], [[1, 3, 2], [4, 10 / 2, 6], [3, 7, 4]], rtol=1e-14)

    def test_channels(self):
        """Two channels in, three out: the filter is (O, C, …), for the transposed operator (C, O, …)."""
        weight = torch.arange(1.0, 7.0, dtype=torch.float64).view(3, 2, 1, 1)
        given = {"input": values(1, 10).view(1, 2, 1, 1), "kernel": torch.full((1, 1, 1, 1, 1, 1), 2.0)}
        case = replace(HAND_MADE, operator="pacconv2d", size=(1, 1), channels=2, outputs=3, kernel_size=1, padding=0)
        (output,) = expected(case, given | {"weight": weight})
        np.testing.assert_allclose(output.ravel(), [42, 86, 130])
        (output,) = expected(
            replace(case, operator="pacconv_transpose2d"), given | {"weight": weight.transpose(0, 1).contiguous()}
        )
        np.testing.assert_allclose(output.ravel(), [42, 86, 130])
        pooled = replace(case, operator="pacpool2d", channel_wise=True)
        (output,) = expected(pooled, given | {"kernel": values(2, 3).view(1, 2, 1, 1, 1, 1)})
        np.testing.assert_allclose(output.ravel(), [2, 30])


class TestPoisonedAllocations:
    @pytest.mark.parametrize(
        "allocate",
        [
            lambda: torch.empty(3, 4),
            lambda: torch.empty(3, 4, dtype=torch.float16),
            lambda: torch.empty_like(torch.ones(3, 4)),
            lambda: torch.ones(1).new_empty(3, 4),
            lambda: torch.empty_strided((3, 4), (1, 3)),
            lambda: torch.empty_permuted((3, 4), (1, 0)),
            lambda: torch.ones(2).resize_(12),
        ],
        ids=["empty", "half", "empty_like", "new_empty", "empty_strided", "empty_permuted", "resize"],
    )
    def test_unwritten_memory_is_nan(self, allocate):
        with poisoned_allocations():
            made = allocate()
        assert made.flatten()[-10:].isnan().all()

    @pytest.mark.parametrize("inside", [False, True], ids=["after", "after_an_error"])
    @pytest.mark.parametrize("deterministic", [False, True], ids=["off", "on"])
    def test_state_is_restored(self, deterministic: bool, inside: bool):
        def state() -> tuple[bool, ...]:
            return (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
                torch.utils.deterministic.fill_uninitialized_memory,
            )

        torch.use_deterministic_algorithms(deterministic)
        try:
            before = state()
            try:
                with poisoned_allocations():
                    assert state() == (True, True, True)
                    if inside:
                        raise KeyError
            except KeyError:
                pass
            assert state() == before
        finally:
            torch.use_deterministic_algorithms(False)


class TestCases:
    def test_ids_are_unique(self):
        assert len(cases.BY_ID) == len(CASES)
        wrong = [f"{error.operator}-{error.name}" for error in ERROR_INPUTS]
        assert len(set(wrong)) == len(wrong)

    def test_every_operator_has_its_plain_case(self):
        assert tuple(case.operator for case in PLAIN) == OPERATORS

    def test_tensors_depend_on_case_and_seed_alone(self):
        case, other = PLAIN[1], PLAIN[4]
        first, again = samples.tensors(case), samples.tensors(case)
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not torch.equal(first["input"], samples.tensors(case, seed=1)["input"])
        assert not torch.equal(first["input"], samples.tensors(other)["input"])
        rounded = samples.tensors(case, torch.float16)
        assert all(torch.equal(first[name].half(), rounded[name]) for name in first)

    def test_all_cases_are_distinct_and_enough(self, tmp_path: Path):
        names = collected(tmp_path)
        assert len(set(names)) == len(names)
        assert len(names) >= 300

    def test_smoke_subset_asks_for_every_operator_in_both_directions(self, tmp_path: Path):
        names = collected(tmp_path, "-m", "smoke")
        assert 0 < len(names) <= 24
        for operator in OPERATORS:
            for test in ("test_forward", "test_gradients"):
                assert any(f"::{test}[unfold-{operator}-" in name for name in names), f"{test} of {operator}"


def collected(folder: Path, *options: str) -> list[str]:
    """Names of the gate's cases."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-c", str(folder / "pytest.ini")]
    words += ["-p", "no:cacheprovider", *options, "--pacbench-backend=unfold", "--pyargs", "pacbench.suites.gradients"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, check=True, timeout=300)
    return [line for line in done.stdout.splitlines() if "::" in line]
