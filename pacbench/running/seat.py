"""A job's seat among jobs that run side by side and take turns at each case, call by call (`referee`).

Two processes that are measured one after the other meet different disturbances: on a shared machine a neighbour slows
a process down to half for seconds. Two that are alive together and take turns of some milliseconds meet the same ones.
"""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "PACBENCH_SEAT"
"""Tells a job the file descriptor of its seat, a socket to the referee."""

TURN_S = 0.004
"""Seconds of a turn, at the least one call: short against the disturbances that it is to share, long against the
handing over."""

IN_TURNS_S = 0.2
"""Seconds that short calls are timed for by each job, unless the profile says more; less where MOST_TURNS are fewer."""

MOST_TURNS = 45


@dataclass(frozen=True, slots=True)
class Turns:
    """How a case is timed in turns.

    Attributes:
        number: Turns, as many as the other jobs take.
        calls: Timed calls of each turn.
        warmed: Whether an untimed call goes before them, since the other job has had the caches.
        core: The core on which all jobs take them; None where each runs where it does.
    """

    number: int
    calls: int
    warmed: bool
    core: int | None = None

    @contextmanager
    def on_their_core(self) -> Iterator[None]:
        """Keep the calling thread on `core` until the block is left."""
        if self.core is None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.core})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


class Seat:
    """The job's end of the socket. Where the referee is gone, nothing waits any more."""

    def __init__(self, descriptor: int) -> None:
        self._socket: socket.socket | None = socket.socket(fileno=descriptor)
        self._lines = self._socket.makefile("rb")
        self._game = 0

    def announce(self, cases: Sequence[str]) -> None:
        """Say which cases this job has set out to run, in order."""
        self._say({"cases": list(cases)})

    def arrive(
        self, case: str, seconds: float, *, rounds: int | None, least: int, timed_s: float, one_thread: bool = False
    ) -> Turns | None:
        """Wait for the other jobs at a case.

        Args:
            case: Name of the case.
            seconds: What a call takes, as far as is known.
            rounds: How many calls are timed, where the case says so: as many turns of one.
            least: Else the fewest.
            timed_s: Seconds that short calls are timed for where nobody takes turns.
            one_thread: Whether the calls keep to the calling thread. If those of all jobs do, they are made on one
                core: two are not equally fast, since what else a machine does lies on one of them.

        Returns:
            The turns; None where no other job comes to this case.
        """
        each = 1 if rounds is not None or seconds <= 0 else max(1, round(TURN_S / seconds))
        wanted = math.ceil(max(timed_s, IN_TURNS_S) / (each * seconds)) if seconds > 0 else MOST_TURNS
        number = rounds or max(math.ceil(least / each), min(MOST_TURNS, wanted))
        self._say({"at": case, "turns": number, "core": _core() if one_thread else None})
        answer = self._heard("turns")
        if not answer.get("turns"):
            return None
        self._game = int(answer["game"])
        return Turns(int(answer["turns"]), each, seconds < TURN_S, answer.get("core"))

    def begin_turn(self) -> None:
        """Return when it is this job's turn."""
        while (said := self._heard("turn")) and said["game"] != self._game:
            pass  # of a case that was left before its turns were over

    def end_turn(self) -> None:
        """Hand over."""
        self._say({"done": self._game})

    def stay(self) -> None:
        """Return when no job is timed any more: what this one does next would disturb it."""
        self.begin_turn()
        self.end_turn()

    def _say(self, words: dict[str, Any]) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendall(json.dumps(words).encode() + b"\n")
        except OSError:
            self._leave()

    def _heard(self, word: str) -> dict[str, Any]:
        """What the referee says with a word in it; nothing where it is gone. What else it says came too late."""
        while self._socket is not None:
            try:
                line = self._lines.readline()
            except OSError:
                line = b""
            if not line.endswith(b"\n"):
                self._leave()
            elif word in (found := json.loads(line)):
                return dict(found)
        return {}

    def _leave(self) -> None:
        if self._socket is not None:
            self._lines.close()
            self._socket.close()
            self._socket = None


def _core() -> int | None:
    """The core that this thread was last on (proc(5), field 39 of stat); None where the system does not say."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        core = int(Path("/proc/thread-self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[36])
    except (OSError, ValueError, IndexError):
        return None
    return core if core in os.sched_getaffinity(0) else None


def taken() -> Seat | None:
    """The seat that this process was given; None where it runs alone."""
    descriptor = os.environ.pop(VARIABLE, "")  # children of this process have none
    return Seat(int(descriptor)) if descriptor.isdigit() else None
