"""The statistics agree with scipy and with counting, and keep their level and power on made-up rounds."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
from scipy import stats

from pacbench.comparing.round_statistics import (
    paired_effect,
    pairwise_shift,
    pseudo_median,
    rounds_needed,
    signed_rank_p,
    smallest_paired_p,
    smallest_unpaired_p,
    unpaired_effect,
    with_slowdown,
)
from pacbench.comparing.verdicts import holm, verdict

RUNS = 150


@pytest.mark.parametrize("rounds", [5, 8, 11])
def test_signed_rank_p_is_counted_over_all_sign_flips(rounds: int):
    values = np.random.default_rng(rounds).normal(0.3, 1, rounds)
    ranks = stats.rankdata(abs(values))
    sums = [sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
            for signs in itertools.product([False, True], repeat=rounds)]  # fmt: skip
    observed = ranks[values > 0].sum()
    as_extreme = min(np.mean([total <= observed for total in sums]), np.mean([total >= observed for total in sums]))
    assert signed_rank_p(values) == pytest.approx(min(1, 2 * as_extreme))


def test_unpaired_p_is_counted_over_all_splits():
    generator = np.random.default_rng(3)
    base, new = generator.normal(0, 1, 5), generator.normal(0.8, 1, 6)
    together = np.concatenate([base, new])
    counts = []
    for chosen in itertools.combinations(range(11), 6):
        others = [place for place in range(11) if place not in chosen]
        counts.append((together[list(chosen)][:, None] > together[others][None, :]).sum())
    observed = (new[:, None] > base[None, :]).sum()
    as_extreme = min(np.mean(np.array(counts) <= observed), np.mean(np.array(counts) >= observed))
    assert unpaired_effect(base, new).p == pytest.approx(min(1, 2 * as_extreme))


def test_estimates_are_those_of_hodges_and_lehmann():
    generator = np.random.default_rng(4)
    values, others = generator.normal(0, 1, 9), generator.normal(1, 1, 7)
    pairs = [(values[i] + values[j]) / 2 for i in range(9) for j in range(i, 9)]
    assert pseudo_median(values) == pytest.approx(np.median(pairs))
    differences = [other - value for value in values for other in others]
    assert pairwise_shift(values, others) == pytest.approx(np.median(differences))
    assert paired_effect(values).ratio == pytest.approx(math.exp(np.median(pairs)))
    stacked = np.stack([values, 2 * values])
    assert pseudo_median(stacked) == pytest.approx([np.median(pairs), 2 * np.median(pairs)])


def test_ratio_is_new_by_base():
    base, new = np.log([1.0, 1.1, 0.9, 1.05, 0.95]), np.log([2.0, 2.2, 1.8, 2.1, 1.9])
    assert paired_effect(new - base).ratio == pytest.approx(2)
    assert unpaired_effect(base, new).ratio == pytest.approx(2)
    assert unpaired_effect(new, base).ratio == pytest.approx(0.5)


def test_a_few_disturbed_rounds_hardly_move_the_ratio():
    values = np.random.default_rng(5).normal(0, 0.01, 15)
    values[:3] = math.log(3)
    assert abs(math.log(paired_effect(values).ratio)) < 0.01


def test_smallest_p_is_attained_and_never_undercut():
    for rounds in (5, 6, 9):
        values = np.linspace(0.1, 1, rounds)
        assert paired_effect(values).p == pytest.approx(smallest_paired_p(rounds)) == 2 * 0.5**rounds
        base, new = np.linspace(0, 1, rounds), np.linspace(2, 3, rounds + 1)
        least = smallest_unpaired_p(rounds, rounds + 1)
        assert unpaired_effect(base, new).p == pytest.approx(least)
        assert least == pytest.approx(2 / math.comb(2 * rounds + 1, rounds))
    assert (smallest_paired_p(1), smallest_unpaired_p(1, 0)) == (1, 1)


@pytest.mark.parametrize(("cases", "paired", "rounds"), [(1, True, 6), (20, True, 10), (20, False, 6)])
def test_rounds_needed(cases: int, paired: bool, rounds: int):
    def smallest(number: int) -> float:
        return cases * (smallest_paired_p(number) if paired else smallest_unpaired_p(number, number))

    assert rounds_needed(cases, paired=paired) == rounds
    assert smallest(rounds) <= 0.05 < smallest(rounds - 1)


@pytest.mark.parametrize("values", [[0.1] * 4, [0.1, 0.2, 0.3, 0.4, math.nan], [0.1, 0.2, 0.3, 0.4, math.inf]])
def test_too_few_rounds_or_no_numbers_are_refused(values: list[float]):
    for call in (lambda: paired_effect(values), lambda: unpaired_effect(values, [0.0] * 6)):
        with pytest.raises(ValueError, match=r"got .*, expected"):
            call()


def test_equal_rounds_are_no_difference():
    effect = paired_effect([0.0] * 6)
    assert (effect.ratio, effect.low, effect.high, effect.p) == (1, 1, 1, 1)
    assert unpaired_effect([1.0] * 6, [1.0] * 6).p == 1


def test_holm_agrees_with_the_definition():
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.9]) == [1, 1]


def test_a_slowdown_shifts_estimate_and_interval():
    values = np.random.default_rng(6).normal(0, 0.05, 10)
    shifted = with_slowdown(paired_effect(values), values, 1.1)
    measured = paired_effect(values + math.log(1.1))
    for name in ("ratio", "low", "high", "p"):
        assert getattr(shifted, name) == pytest.approx(getattr(measured, name)), name


@pytest.mark.parametrize(("rounds", "least"), [(5, 0.86), (12, 0.9)])
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])
def test_interval_covers_the_truth(rounds: int, least: float, paired: bool):
    """Nominally 95 %, seeded; of 5 rounds the widest interval of all covers 93.75 %."""
    generator = np.random.default_rng(rounds)
    covered = 0
    for _ in range(RUNS):
        if paired:
            effect = paired_effect(generator.normal(0.05, 0.03, rounds))
        else:
            effect = unpaired_effect(generator.normal(1, 0.03, rounds), generator.normal(1.05, 0.03, rounds))
        covered += effect.low <= math.exp(0.05) <= effect.high
    assert covered / RUNS >= least


@pytest.mark.parametrize("tail", ["normal", "heavy"])
def test_false_positives_and_power(tail: str):
    """A/A and planted slowdowns on made-up rounds, 10 cases a run under Holm's correction, 15 rounds of 3 % noise."""
    generator = np.random.default_rng(7)
    draw = {"normal": partial(generator.normal, 0, 0.03), "heavy": lambda size: 0.02 * generator.standard_t(3, size)}[
        tail
    ]

    def verdicts(slowdown: float, runs: int) -> list[str]:
        found = []
        for _ in range(runs):
            noise = draw(size=(10, 15))
            effects = [paired_effect(values + math.log(slowdown)) for values in noise]
            corrected = holm([effect.p for effect in effects])
            found += [verdict(effect, p) for effect, p in zip(effects, corrected, strict=True)]
        return found

    for_nothing = verdicts(1.0, 15)
    assert sum(name in ("slower", "faster") for name in for_nothing) <= 0.02 * len(for_nothing)
    assert for_nothing.count("same") >= 0.7 * len(for_nothing)
    ten = verdicts(1.1, 4)
    assert ten.count("slower") >= 0.95 * len(ten)
    five = verdicts(1.05, 4)
    assert five.count("slower") >= 0.5 * len(five)
    assert five.count("same") + five.count("faster") <= 0.02 * len(five)
