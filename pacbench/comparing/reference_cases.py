"""Times relative to a run's own reference case, which travel from one machine to another where seconds do not."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from .case_rounds import CaseRounds, Key

REFERENCE = "reference:"
"""Methods that are plain torch operators, or Full-CRF, timed in the process of the case that they stand beside."""


def relative(cases: dict[Key, CaseRounds]) -> dict[Key, CaseRounds]:
    """Each case divided, round by round, by its reference case; a case that has none has a trouble instead.

    The reference case of ``test_time[W1-forward]`` is the one with a method ``reference:…`` that has the same other
    words in its brackets, timed in the same process; where there is none, the first by name that times the same
    direction. Reference cases themselves lose their times: they are the measure; one that has a trouble keeps it.
    `seconds` then holds ratios.
    """
    references = {key: case for key, case in cases.items() if is_reference(case)}
    found = {}
    for key, case in cases.items():
        if case.trouble or not case.logs:
            found[key] = case
            continue
        if key in references:
            found[key] = replace(case, logs={}, seconds=[], turns={})
            continue
        mine = _of(key, case, references)
        if mine is None:
            found[key] = replace(case, logs={}, trouble="has no reference case in its run to be divided by")
            continue
        name, reference = mine
        logs = {
            number: value - reference.logs[number] for number, value in case.logs.items() if number in reference.logs
        }
        seconds = [math.exp(value) for value in logs.values()]
        found[key] = replace(case, logs=logs, seconds=seconds, turns={}, reference=name)
    return found


def is_reference(case: CaseRounds) -> bool:
    """Whether a case is the measure of others."""
    return bool(case.method and case.method.startswith(REFERENCE))


def _of(key: Key, case: CaseRounds, references: dict[Key, CaseRounds]) -> tuple[str, CaseRounds] | None:
    same_process = {
        str(other.case): reference
        for other, reference in references.items()
        if (other.suite, reference.backend) == (key.suite, case.backend) and reference.logs
    }
    wanted = _words(key.case, case.method)
    exact = [name for name, found in same_process.items() if _words(name, found.method) == wanted]
    alike = [name for name, found in same_process.items() if found.direction == case.direction]
    name = min(exact or alike, default=None)
    return None if name is None else (name, same_process[name])


def _words(case: str | None, method: str | None) -> frozenset[str]:
    """The words in a case's brackets without its method."""
    found = re.search(r"\[(.*)\]", case or "")
    inside = found.group(1) if found else ""
    return frozenset(word for word in inside.replace(method or "", "").split("-") if word)
