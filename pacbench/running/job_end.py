"""How a job ended: the exit code of its process and its last words, in one reason that a person can read."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from pacbench.records import NO_CASE, CaseRecord, Collected, JobOutcome, RecordError, read_lines

from .process import ProcessEnd

_TAIL_BYTES = 20_000
_WORDS_LENGTH = 300
_PYTEST_PROBLEMS = {
    int(pytest.ExitCode.INTERRUPTED): "pytest was interrupted",
    int(pytest.ExitCode.INTERNAL_ERROR): "pytest met an internal error",
    int(pytest.ExitCode.USAGE_ERROR): "pytest refused the job",
}
_TELLING = re.compile(
    r"(^.*Fatal Python error:|^!+ .*the device is beyond use|^ERROR:"
    r"|^E  |^INTERNALERROR>.*(Error|Exception)|^\w*(Error|Exception):)"
)


def describe_end(end: ProcessEnd, log: Path, records: Path, timeout_s: float | None) -> tuple[JobOutcome, str | None]:
    """Outcome of a job and the reason where it did not simply complete.

    Args:
        end: How the process ended.
        log: What it printed.
        records: What it recorded.
        timeout_s: How long it might have taken.
    """
    unfinished = unfinished_case(records)
    where = f" in {unfinished}" if unfinished else ""
    code = end.exit_code
    if end.memory_bytes is not None:
        return "crashed", f"killed: it had {end.memory_bytes / 1e9:.2f} GB of memory, more than it may have{where}"
    if code is None:
        return "timeout", f"no end within {timeout_s:g} s{where}"
    if code < 0:
        why = " (the kernel was out of memory)" if end.kernel_killed and -code == signal.SIGKILL else ""
        return "crashed", f"killed by {_signal_name(-code)}{why}{where}{_last_words(log)}"
    if code in _PYTEST_PROBLEMS:
        return "crashed", f"{_PYTEST_PROBLEMS[code]}{_last_words(log)}"
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        return "completed", NO_CASE
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or unfinished:
        return "crashed", f"left with exit code {code}{where}{_last_words(log)}"
    return "completed", None


def unfinished_case(records: Path) -> str | None:
    """The first case that was collected and has no record: the one during which a job died."""
    try:
        lines = read_lines(records) if records.exists() else []
    except RecordError:
        return None
    ended = {(line.backend, line.case) for line in lines if isinstance(line, CaseRecord)}
    for line in lines:
        if isinstance(line, Collected):
            for case in line.cases:
                if (line.backend, case) not in ended:
                    return case
    return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_words(log: Path) -> str:
    """The telling line of a log's end, else its last line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.match(line)]
    words = (telling or lines)[-1] if lines else ""
    # pytest -v has begun a line with the name of the test that was running
    words = re.sub(r"^(E  |INTERNALERROR>|!+|.*(?=Fatal Python error))\s*", "", words).rstrip(" !")
    return f": {words[:_WORDS_LENGTH]}" if words else ""
