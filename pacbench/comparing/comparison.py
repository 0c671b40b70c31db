"""BASE and NEW, case by case: what was compared, what was not and why, and the verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from . import reference_cases
from .case_rounds import CaseRounds, Key, case_rounds, log_ratio
from .circumstances import changed_suites, differences, several_machines
from .resource_changes import ResourceChange
from .round_statistics import FEWEST_ROUNDS, LEVEL, Effect, paired_effect, rounds_needed, unpaired_effect
from .sides import Side, SideError, are_paired
from .verdicts import LEAST_RATIO, Verdict, holm, verdict


class ComparedCase(BaseModel):
    """One case on both sides.

    Attributes:
        suite: Name of its suite.
        case: Name of the case; None for a job that never named one.
        backend: The backend, or ``BASE's / NEW's`` where they differ.
        verdict: On NEW; None where nothing could be compared.
        reason: Why there is no verdict, or why it is ambiguous for want of rounds.
        failed: Whether a row of it failed, was lost or is withheld by a red gate, on either side.
        only: The side that alone has it.
        reference: The case that both sides' times were divided by; None where they are seconds.
        base_s: Median of BASE's rounds, in seconds, or divided by the reference.
        new_s: As `base_s`, for NEW.
        base_rounds: Rounds of BASE that were compared.
        new_rounds: As `base_rounds`, for NEW.
        ratio: NEW / BASE; above 1 NEW is slower.
        low: Lower end of its interval.
        high: Upper end.
        p: p-value of "no difference".
        corrected_p: `p` after Holm's correction over the cases that were compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    case: str | None
    backend: str
    verdict: Verdict | None = None
    reason: str | None = None
    failed: bool = False
    only: str | None = None
    reference: str | None = None
    base_s: float | None = None
    new_s: float | None = None
    base_rounds: int = 0
    new_rounds: int = 0
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    corrected_p: float | None = None


class Comparison(BaseModel):
    """A whole comparison; every table of it is made from this.

    Attributes:
        base: What the baseline is.
        new: What is judged.
        paired: Whether rounds were measured in turns.
        across_machines: Whether times were divided by each run's own reference case first.
        cases: In BASE's order, then what NEW alone has.
        remarks: Sentences that every table needs beside it.
        resources: Changes of compiled GPU kernels, where two revisions are compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    new: str
    paired: bool
    across_machines: bool
    cases: list[ComparedCase]
    remarks: list[str]
    resources: list[ResourceChange] = []


@dataclass(frozen=True)
class _Pair:
    """A case that both sides have, on its way to a verdict."""

    key: Key
    base: CaseRounds
    new: CaseRounds
    effect: Effect | None
    reason: str | None
    rounds: tuple[int, int] = (0, 0)
    failed: bool = field(default=False)


def compare(base: Side, new: Side, *, across_machines: bool = False) -> Comparison:
    """Compare two sides.

    Args:
        base: The baseline.
        new: What is judged.
        across_machines: Compare ratios to each run's own reference case, so that machines may differ.

    Raises:
        SideError: the circumstances differ and `across_machines` is not set; says what differs.
    """
    differ = differences(base, new)
    if differ and not across_machines:
        raise SideError(
            f"BASE ({base.text}) and NEW ({new.text}) were made under different circumstances: {'; '.join(differ)}; "
            "--across-machines compares ratios to each run's own reference case"
        )
    paired = are_paired(base, new)
    before, after = case_rounds(base), case_rounds(new)
    if across_machines:
        before, after = reference_cases.relative(before), reference_cases.relative(after)
    keys = list(dict.fromkeys([*before, *after]))
    pairs = [_pair(key, before[key], after[key], paired=paired) for key in keys if key in before and key in after]
    told = {pair.key: case for pair, case in zip(pairs, _judged(pairs), strict=True)}
    for key in keys:
        if key not in told:
            told[key] = _one_sided(key, before.get(key), after.get(key))
    remarks = _remarks(base, new, paired, across_machines, [pair for pair in pairs if pair.effect is not None])
    if across_machines and differ:
        remarks.append(f"Circumstances that differ (BASE / NEW): {'; '.join(differ)}.")
    cases = [told[key] for key in keys if not _says_nothing(before.get(key), after.get(key))]
    return Comparison(
        base=base.label, new=new.label, paired=paired, across_machines=across_machines, cases=cases, remarks=remarks
    )


def exit_code(comparison: Comparison, *, strict: bool = False) -> int:
    """1 if a case is slower, a kernel takes more, a row failed or nothing was compared.

    3 if `strict` and a case is ambiguous; else 0.
    """
    if any(change.worse for change in comparison.resources):
        return 1
    verdicts = [case.verdict for case in comparison.cases]
    if "slower" in verdicts or not any(verdicts) or any(case.failed for case in comparison.cases):
        return 1
    return 3 if strict and "ambiguous" in verdicts else 0


def _pair(key: Key, base: CaseRounds, new: CaseRounds, *, paired: bool) -> _Pair:
    troubles = [f"{name} {side.trouble}" for name, side in (("BASE", base), ("NEW", new)) if side.trouble]
    if troubles:
        return _Pair(key, base, new, None, "; ".join(troubles), failed=base.failed or new.failed)
    if base.work != new.work:
        return _Pair(key, base, new, None, f"the work differs: BASE {base.work_said(new)}, NEW {new.work_said(base)}")
    if base.reference != new.reference:
        return _Pair(key, base, new, None, f"BASE was divided by {base.reference}, NEW by {new.reference}")
    both = sorted(base.logs.keys() & new.logs.keys())
    common = [number for number in both if base.machines.get(number) == new.machines.get(number)]
    rounds = (len(common), len(common)) if paired else (len(base.logs), len(new.logs))
    if min(rounds) < FEWEST_ROUNDS:
        reason = f"{min(rounds)} rounds are too few for an interval, which takes {FEWEST_ROUNDS}"
        if paired and len(common) < len(both):
            reason += f"; {len(both) - len(common)} were measured on two machines and make no pair"
        return _Pair(key, base, new, None, reason, rounds)
    if paired:
        effect = paired_effect([log_ratio(base, new, number) for number in common])
    else:
        effect = unpaired_effect(list(base.logs.values()), list(new.logs.values()))
    return _Pair(key, base, new, effect, None, rounds)


def _judged(pairs: Sequence[_Pair]) -> list[ComparedCase]:
    compared = [pair.effect for pair in pairs if pair.effect is not None]
    corrected = iter(holm([effect.p for effect in compared]))
    cases = []
    for pair in pairs:
        if pair.effect is None:
            too_few = pair.reason is not None and any(pair.rounds)
            cases.append(_case(pair.key, pair.base, pair.new, reason=pair.reason, failed=pair.failed,
                               verdict="ambiguous" if too_few else None,
                               base_rounds=pair.rounds[0], new_rounds=pair.rounds[1]))  # fmt: skip
            continue
        effect, p = pair.effect, next(corrected)
        found = verdict(effect, p)
        reason = None
        if found == "ambiguous" and len(compared) * effect.smallest_p > LEVEL:
            reason = (
                f"too few rounds ({min(pair.rounds)}) for any case to be significant: the smallest attainable p is "
                f"{effect.smallest_p:.3g}, {min(1.0, len(compared) * effect.smallest_p):.3g} after Holm's correction"
            )
        cases.append(
            _case(
                pair.key, pair.base, pair.new, verdict=found, reason=reason, base_rounds=pair.rounds[0],
                new_rounds=pair.rounds[1], ratio=effect.ratio, low=effect.low, high=effect.high, p=effect.p,
                corrected_p=p,
            )
        )  # fmt: skip
    return cases


def _case(key: Key, base: CaseRounds | None, new: CaseRounds | None, **rest: object) -> ComparedCase:
    backends = list(dict.fromkeys(side.backend for side in (base, new) if side is not None))
    return ComparedCase.model_validate(
        {
            "suite": key.suite,
            "case": key.case,
            "backend": " / ".join(backends),
            "base_s": _median(base),
            "new_s": _median(new),
            "reference": next((side.reference for side in (base, new) if side is not None), None),
            **rest,
        }
    )


def _median(side: CaseRounds | None) -> float | None:
    if side is None or side.trouble or not side.seconds:
        return None
    return statistics.median(side.seconds)


def _one_sided(key: Key, base: CaseRounds | None, new: CaseRounds | None) -> ComparedCase:
    side, name = (base, "BASE") if base is not None else (new, "NEW")
    reason = f"only {name} has this case"
    if side is not None and side.trouble:
        reason += f", and there it {side.trouble}"
    return _case(key, base, new, only=name, reason=reason, failed=side is not None and side.failed)


def _says_nothing(base: CaseRounds | None, new: CaseRounds | None) -> bool:
    """Whether a case passed wherever it is and is not timed anywhere: a check, not a measurement."""
    return all(side is None or (not side.logs and not side.trouble) for side in (base, new))


def _remarks(base: Side, new: Side, paired: bool, across: bool, compared: Sequence[_Pair]) -> list[str]:
    what = "time divided by that of the run's own reference case" if across else "time"
    if paired:
        how = "rounds were measured in turns and are compared in pairs (Wilcoxon's signed-rank test)"
        if any(pair.base.turns and pair.new.turns for pair in compared):
            how += (
                "; in a round both processes were alive and took turns of some milliseconds, and its ratio is the "
                "median over neighbouring turns"
            )
    else:
        how = (
            "the two were measured at different times, so that their rounds are not paired (Mann-Whitney's test): what "
            "changed on the machine in between counts as a difference"
        )
    remarks = [
        f"Ratio: {what} of NEW / BASE, above 1 NEW is slower; {how}; {100 * (1 - LEVEL):.0f} % interval by bootstrap "
        "over rounds.",
        f"Verdicts: slower or faster where p ≤ {LEVEL} after Holm's correction over {_cases(len(compared))}, the "
        f"interval leaves out 1 and the ratio is at least {LEAST_RATIO}; same where the interval lies within ± 3 %; "
        "else ambiguous.",
    ]  # fmt: skip
    if compared:
        effects = [pair.effect for pair in compared if pair.effect is not None]
        smallest = min(effect.smallest_p for effect in effects)
        if len(compared) * smallest > LEVEL:
            remarks.append(
                f"Too few rounds: the smallest attainable p is {smallest:.3g}, or "
                f"{min(1.0, len(compared) * smallest):.3g} after correction, so that nothing can be called slower or "
                f"faster; {rounds_needed(len(compared), paired=paired)} rounds of each side could."
            )
    remarks += several_machines(base, new, paired=paired)
    changed = changed_suites(base, new)
    if changed:
        remarks.append(
            f"The suites {', '.join(changed)} differ between BASE and NEW: cases of one name may do other work."
        )
    return remarks


def _cases(number: int) -> str:
    return f"{number} case" if number == 1 else f"{number} cases"
