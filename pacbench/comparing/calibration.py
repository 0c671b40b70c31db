"""What A/A runs say of a machine: how often the verdicts are wrong here, and how small an effect they find.

A backend is measured against itself, in turns like any two backends, so that every difference is the machine's. The
share of comparisons that are called slower or faster is the false-positive rate. For the effect that can be found, a
slowdown is added to the measured log-ratios, and the verdict is asked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from pacbench.records import Environment, RecordError, read_one, write_one

from .case_rounds import CaseRounds, case_rounds, log_ratio
from .comparison import Comparison
from .round_statistics import FEWEST_ROUNDS, Effect, paired_effect, with_slowdown
from .sides import Side
from .verdicts import holm, verdict

EFFECTS = (1.03, 1.04, 1.05, 1.06, 1.08, 1.1, 1.15, 1.2, 1.3, 1.5)
POWER = 0.95
"""Share of comparisons in which an effect must be called slower to count as found."""

_MACHINE = ("processor", "cores", "threads", "gpu")
_TURNS = "rounds in which both sides took turns"
_PAIRS = "paired rounds without turns"


class AaCase(BaseModel):
    """One case of one A/A run: its paired log-ratios, one a round, and whether the sides took turns in a round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: int
    case: str
    log_ratios: list[float]
    turns: bool = True


class LeftOut(NamedTuple):
    """One case of one A/A run that could not be compared: what is said of it, and whether that is a failure."""

    text: str
    failed: bool


class Calibration(BaseModel):
    """A/A runs of one machine, summed up.

    Attributes:
        machine: What it holds for: processor, cores, threads, GPUs.
        at: When it was made.
        asked: What was run: backend, suites, profile.
        rounds: Rounds of each run.
        runs: Independent runs.
        comparisons: Cases of all runs.
        called: How many were called slower or faster, each of them wrongly.
        same: How many were called same.
        found: For each effect, the share of comparisons that call it slower when it is added.
        advice: What makes this machine noisy.
        left_out: Cases of all runs that could not be compared.
        turns: Whether the sides took turns in a round, as they do where there is no GPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: dict[str, str]
    at: str
    asked: str
    rounds: int
    runs: int
    comparisons: int
    called: int
    same: int
    found: dict[str, float]
    advice: list[str]
    left_out: int = 0
    turns: bool = True

    @property
    def least_effect(self) -> float | None:
        """The least effect from which on all are found in at least `POWER` of the comparisons; None if none is."""
        least = None
        for effect in sorted(map(float, self.found), reverse=True):
            if self.found[str(effect)] < POWER:
                break
            least = effect
        return least

    def sentence(self) -> str:
        """What is printed beside verdicts."""
        effect = self.least_effect
        found = (
            f"a slowdown of {100 * (effect - 1):.0f} % is found in at least {100 * POWER:.0f} % of cases"
            if effect is not None
            else f"no slowdown up to {100 * (max(EFFECTS) - 1):.0f} % is found in {100 * POWER:.0f} % of cases"
        )
        return (
            f"A/A on this machine ({self.at}, {self.asked}, {self.runs} runs of {self.rounds} rounds): {self.called} "
            f"of {self.comparisons} comparisons called slower or faster, {self.same} same"
            + (f", {self.left_out} more left out" if self.left_out else "")
            + f"; {found}."
        )


def aa_cases(run: int, base: Side, new: Side) -> tuple[list[AaCase], list[LeftOut]]:
    """The cases of one A/A run that passed in every round on both sides, with enough rounds for an interval.

    Beside them, those that did not; a check that is timed on no side is neither.
    """
    before, after = case_rounds(base), case_rounds(new)
    found, left_out = [], []
    for key in dict.fromkeys([*before, *after]):
        name = f"{key.suite} {key.case or '(every case)'}"
        sides = {"BASE": before.get(key), "NEW": after.get(key)}
        both = [side for side in sides.values() if side is not None]
        if not any(side.logs or side.trouble for side in both):
            continue
        why = _why_not(sides)
        if why is not None:
            left_out.append(LeftOut(f"A/A run {run + 1}: left out {name}: {why}", any(side.failed for side in both)))
            continue
        one, other = both
        ratios = [log_ratio(one, other, number) for number in sorted(one.logs.keys() & other.logs.keys())]
        found.append(AaCase(run=run, case=name, log_ratios=ratios, turns=bool(one.turns and other.turns)))
    return sorted(found, key=lambda case: case.case), left_out


def _why_not(sides: Mapping[str, CaseRounds | None]) -> str | None:
    """Why a case cannot be compared; None if it can."""
    troubles = [f"{name} {side.trouble}" for name, side in sides.items() if side is not None and side.trouble]
    missing = [f"{name} does not have it" for name, side in sides.items() if side is None]
    if troubles or missing:
        return "; ".join([*troubles, *missing])
    common = set.intersection(*(set(side.logs) for side in sides.values() if side is not None))
    if len(common) < FEWEST_ROUNDS:
        return f"{len(common)} rounds are too few for an interval, which takes {FEWEST_ROUNDS}"
    return None


def calibrate(
    cases: Sequence[AaCase], environment: Environment, *, at: str, asked: str, advice: list[str], left_out: int = 0
) -> Calibration:
    """Sum up A/A runs.

    Raises:
        ValueError: there is no case, or one has too few rounds.
    """
    if not cases:
        raise ValueError("calibrate: got no case, expected at least one")
    effects = [paired_effect(case.log_ratios) for case in cases]
    verdicts = _verdicts(cases, effects, 1.0)
    return Calibration(
        machine=machine_of(environment),
        at=at,
        asked=asked,
        rounds=min(len(case.log_ratios) for case in cases),
        runs=len({case.run for case in cases}),
        comparisons=len(cases),
        called=sum(found in ("slower", "faster") for found in verdicts),
        same=verdicts.count("same"),
        found={str(size): _verdicts(cases, effects, size).count("slower") / len(cases) for size in EFFECTS},
        advice=advice,
        left_out=left_out,
        turns=any(case.turns for case in cases),
    )


def machine_of(environment: Environment) -> dict[str, str]:
    """What a calibration holds for."""
    return {name: str(getattr(environment, name)) for name in _MACHINE}


def calibration_file(environment: Environment) -> Path:
    """Where this machine's calibration is kept, in the user's data folder."""
    from platformdirs import user_data_path

    digest = hashlib.sha256("\0".join(machine_of(environment).values()).encode()).hexdigest()[:16]
    return user_data_path("pacbench") / "calibration" / f"{digest}.json"


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Keep a calibration, in place of an earlier one.

    Raises:
        OSError: the file cannot be written.
    """
    write_one(path, calibration)


def calibration_remarks(comparison: Comparison, base: Side, new: Side) -> list[str]:
    """The sentence beside verdicts: what is known of the machine that a run was made on, for sides measured as these.

    Args:
        comparison: Of the two sides.
        base: The baseline.
        new: What is judged.
    """
    environment = new.run.environment
    if environment is None:
        return []
    path = calibration_file(environment)
    if not path.exists():
        return [
            "A/A: this machine's false-positive rate is not known; `pacbench calibrate` measures it for sides that are "
            "measured in turns."
        ]
    try:
        found = read_one(path, Calibration)
    except RecordError as error:
        return [f"A/A: {error}"]
    known, mine = _TURNS if found.turns else _PAIRS, _compared(comparison, base, new)
    if known == mine:
        return [found.sentence()]
    return [
        f"A/A: this machine's false-positive rate was measured on {known} and does not hold for this comparison, which "
        f"is of {mine}."
    ]


def _compared(comparison: Comparison, base: Side, new: Side) -> str:
    """What a comparison is of, as far as the rate of false alarms depends on it."""
    if comparison.across_machines:
        return "ratios to reference cases"
    if not comparison.paired:
        return "rounds that are not paired"
    return _TURNS if all(any(side.rows()["turns"]) for side in (base, new)) else _PAIRS


def _verdicts(cases: Sequence[AaCase], effects: Sequence[Effect], slowdown: float) -> list[str]:
    """The verdict on every case when it is slowed down; Holm's correction runs over each run by itself."""
    slowed = [with_slowdown(effect, case.log_ratios, slowdown) for effect, case in zip(effects, cases, strict=True)]
    verdicts = [""] * len(cases)
    for run in {case.run for case in cases}:
        places = [place for place, case in enumerate(cases) if case.run == run]
        corrected = holm([slowed[place].p for place in places])
        for place, p in zip(places, corrected, strict=True):
            verdicts[place] = verdict(slowed[place], p)
    return verdicts
