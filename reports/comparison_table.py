"""A comparison as a table that the terminal, Markdown and CSV writers read like any other."""

from __future__ import annotations

from collections import Counter

from pacbench.comparing.comparison import ComparedCase, Comparison

from . import number_format as written
from .cells import Cell, Column, Row, SummaryTable, empty, number, words
from .row_cells import EVERY_CASE

NO_VERDICT = "not compared"


def comparison_table(comparison: Comparison) -> SummaryTable:
    """One row a case, whatever became of it; BASE and NEW are named in the caption."""
    unit = ("base_ratio", "new_ratio", "/ ref.") if comparison.across_machines else ("base_ms", "new_ms", "ms")
    columns = (
        Column("suite", "suite", numeric=False, where="documents"),
        Column("case", "case", numeric=False),
        Column("backend", "backend", numeric=False),
        Column(unit[0], f"BASE {unit[2]}"),
        Column(unit[1], f"NEW {unit[2]}"),
        Column("ratio", "NEW / BASE"),
        Column("low", "low", where="data"),
        Column("high", "high", where="data"),
        Column("interval", "interval"),
        Column("p", "p", where="data"),
        Column("corrected_p", "p (Holm)"),
        Column("rounds", "rounds"),
        Column("verdict", "verdict", numeric=False),
    )
    scale = 1.0 if comparison.across_machines else 1e3
    return SummaryTable(
        name="comparison",
        title=f"Comparison: {tally(comparison)}",
        caption=f"BASE, the baseline, is {comparison.base}; NEW is {comparison.new}.",
        columns=columns,
        rows=tuple(_row(case, scale) for case in comparison.cases),
        remarks=tuple(comparison.remarks),
    )


def resources_table(comparison: Comparison) -> SummaryTable:
    """What compiled GPU kernels take in NEW and did not in BASE, the worse first."""
    worse = sum(change.worse for change in comparison.resources)
    return SummaryTable(
        name="resources",
        title=f"Resources of compiled GPU kernels: {worse} worse, {len(comparison.resources) - worse} other changes",
        caption="By the committed budgets of BASE and NEW, so without a GPU.",
        columns=(
            Column("backend", "backend", numeric=False),
            Column("kernel", "kernel", numeric=False),
            Column("change", "NEW", numeric=False),
            Column("worse", "", numeric=False),
        ),
        rows=tuple(
            (words(one.backend), words(one.kernel), words(one.text), words("worse" if one.worse else "not worse"))
            for one in comparison.resources
        ),
    )


def tally(comparison: Comparison) -> str:
    """How many cases have which verdict, such as ``2 slower, 40 same, 1 not compared``."""
    count = Counter(case.verdict or NO_VERDICT for case in comparison.cases)
    order = ("slower", "ambiguous", "same", "faster", NO_VERDICT)
    return ", ".join(f"{count[name]} {name}" for name in order if count[name]) or "no case"


def case_name(case: ComparedCase) -> str:
    """The case for readers: what its brackets hold where they hold something, else its whole name."""
    if case.case is None:
        return EVERY_CASE
    return case.case.partition("::")[2] or case.case


def _row(case: ComparedCase, scale: float) -> Row:
    why = case.reason or "not compared"
    interval = empty(why)
    if case.low is not None and case.high is not None:
        interval = words(f"{case.low:.3f} to {case.high:.3f}")
    notes = (f"divided by {case.reference}",) if case.reference else ()
    rounds = [case.base_rounds, case.new_rounds]
    said = str(rounds[0]) if rounds[0] == rounds[1] else f"{rounds[0]} / {rounds[1]}"
    return (
        words(case.suite),
        Cell(text=case_name(case), value=case.case or EVERY_CASE, notes=notes),
        words(case.backend),
        number(None if case.base_s is None else case.base_s * scale, written.significant, why),
        number(None if case.new_s is None else case.new_s * scale, written.significant, why),
        number(case.ratio, lambda value: f"{value:.3f}", why),
        number(case.low, lambda value: f"{value:.3f}", why),
        number(case.high, lambda value: f"{value:.3f}", why),
        interval,
        number(case.p, lambda value: written.significant(value, 2), why),
        number(case.corrected_p, lambda value: written.significant(value, 2), why),
        Cell(text=said, value=said) if any(rounds) else empty(why),
        words(case.verdict or NO_VERDICT, case.reason),
    )
