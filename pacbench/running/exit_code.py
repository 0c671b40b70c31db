"""What a run's exit code says."""

from __future__ import annotations

from pacbench.frame import GateState, Run

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

_BAD = ("failed", "error", "lost", "crashed", "timeout", "interrupted")


def exit_code(run: Run) -> int:
    """0 if all is well; 1 if a gate is red, a row failed or was lost, a file is unreadable, or nothing passed.

    Rows that are skipped with a reason are fine, and so is a backend that cannot run on this machine, unless
    there is no other.
    """
    red = [state for state in run.gate.values() if not state.green and not is_unavailable(state)]
    bad = run.frame["outcome"].isin(_BAD).any()
    return int(bool(red or bad or run.problems or not (run.frame["outcome"] == "passed").any()))


def is_unavailable(state: GateState) -> bool:
    """Whether a gate says nothing because every case of it was skipped."""
    return 0 < state.total == state.skipped
