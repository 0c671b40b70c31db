"""What of a comparison GitHub Actions shows beside a pull request: workflow commands, one a line."""

from __future__ import annotations

from pacbench.comparing.comparison import ComparedCase, Comparison

from .comparison_table import case_name, comparison_table
from .escaping import one_line

_LIMIT = 10
"""GitHub shows no more of a kind in one step."""


def annotation_lines(comparison: Comparison, *, strict: bool = False) -> list[str]:
    """``::error`` for what is slower or failed (and, with `strict`, ambiguous); the tally as ``::notice``."""
    bad = [_said(case) for case in comparison.cases if _is_bad(case, strict)]
    bad += [one_line(f"{one.backend} {one.kernel}: {one.text}") for one in comparison.resources if one.worse]
    lines = [f"::error title=pacbench compare::{_escaped(said)}" for said in bad[: _LIMIT - 1]]
    if len(bad) >= _LIMIT:
        lines.append(f"::error title=pacbench compare::and {len(bad) - _LIMIT + 1} more: see the step's summary")
    title = comparison_table(comparison).title
    said = f"{title}. BASE is {comparison.base}; NEW is {comparison.new}."
    return [*lines, f"::notice title=pacbench compare::{_escaped(one_line(said))}"]


def _is_bad(case: ComparedCase, strict: bool) -> bool:
    return case.failed or case.verdict == "slower" or (strict and case.verdict == "ambiguous")


def _said(case: ComparedCase) -> str:
    name = f"{case.suite} {case_name(case)} ({case.backend})"
    if case.ratio is None:
        return one_line(f"{name}: {case.reason}", 500)
    return f"{name}: {case.verdict}, NEW / BASE {case.ratio:.3f} ({case.low:.3f} to {case.high:.3f})"


def _escaped(text: str) -> str:
    """As GitHub's toolkit escapes the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
