"""Who is next: jobs that run side by side meet at each case that they share, and take turns there.

A case is timed when every job that has it is there: one turn of the first job, one of the second, then in reverse
order, and so on (A B, B A, …), so that a machine that slows down steadily favours none. After the last a turn without
calls keeps everyone at the case until all have been timed. A case that only one job has is timed while the others stand
still. One to which another does not come in time is timed without it.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

PATIENCE_S = 600.0
"""Seconds that a job waits for another at a case; also the longest turn. Who is no longer waited for may be at work
beside those that are timed, so that it is long."""


@dataclass(eq=False)
class _Place:
    """The referee's end of one job's socket.

    Attributes:
        end: The referee's end.
        given: The job's.
        cases: What the job has set out to run; None until it has said so.
        at: The case at which it waits; None while it is on its way.
        turns: How many turns it wants there.
        core: Where it would take them if all others can; None where it has several threads.
        arrived: When it came there.
        late: Whether the others have stopped waiting for it until it comes to a case again.
        alone: Whether it is timing a case of its own, or on its way from there: the others wait however long it takes.
        gone: Whether it has hung up.
    """

    end: socket.socket
    given: socket.socket
    cases: list[str] | None = None
    at: str | None = None
    turns: int = 0
    core: int | None = None
    arrived: float = 0.0
    late: bool = False
    alone: bool = False
    gone: bool = False
    passed: int = -1
    half: bytes = b""
    lines: deque[dict[str, Any]] = field(default_factory=deque)

    def may_come_to(self, case: str) -> bool:
        """Whether the job may still come to a case at which it is not."""
        if self.gone or self.late:
            return False
        if self.cases is None:
            return True
        return case in self.cases[self.passed + 1 :]

    def stand(self, case: str, turns: int, core: int | None) -> None:
        """The job has come to a case."""
        self.at, self.turns, self.core, self.late, self.alone = case, turns, core, False, False
        self.arrived = time.monotonic()
        if self.cases is not None and case in self.cases:
            self.passed = self.cases.index(case)


class Referee:
    """Gives jobs their seats and, in a thread of its own, their turns; a context that ends with the jobs.

    Args:
        seats: How many jobs there are.
        patience_s: Seconds that a job waits for another.
    """

    def __init__(self, seats: int, *, patience_s: float = PATIENCE_S) -> None:
        self._places = [_Place(*socket.socketpair()) for _ in range(seats)]
        self._patience_s = patience_s
        self._games = 0
        self._selector = selectors.DefaultSelector()
        for place in self._places:
            self._selector.register(place.end, selectors.EVENT_READ, place)
        self._thread = threading.Thread(target=self._run, name="pacbench-referee", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in self._places:
            place.given.close()
        self._thread.join()
        for place in self._places:
            place.end.close()
        self._selector.close()

    def descriptor(self, seat: int) -> int:
        """The file descriptor that a job is to inherit."""
        return self._places[seat].given.fileno()

    def left(self, seat: int) -> None:
        """A job has ended: nobody waits for it. To be called when its process is gone."""
        self._places[seat].given.close()

    def _run(self) -> None:
        while any(not place.gone for place in self._places):
            self._listen(self._wait_s())
            self._give_up_the_late()
            self._decide()

    def _wait_s(self) -> float | None:
        """How long nothing needs to be done unless a job says something."""
        waiting = [place.arrived for place in self._places if place.at is not None]
        return max(0.0, min(waiting) + self._patience_s - time.monotonic()) if waiting else None

    def _listen(self, seconds: float | None) -> None:
        if not any(place.lines for place in self._places):
            for key, _ in self._selector.select(seconds):
                self._hear(key.data)
        for place in self._places:
            while place.lines:
                self._take(place, place.lines.popleft())

    def _hear(self, place: _Place) -> None:
        try:
            found = place.end.recv(1 << 16)
        except OSError:
            found = b""
        if not found:
            self._selector.unregister(place.end)
            place.gone, place.at = True, None
            return
        *whole, place.half = (place.half + found).split(b"\n")
        place.lines.extend(json.loads(line) for line in whole)

    def _take(self, place: _Place, line: dict[str, Any]) -> None:
        if "cases" in line:
            place.cases = list(line["cases"])
        elif "at" in line:
            if place.alone:  # until now nobody was kept waiting by others
                for other in self._places:
                    other.arrived = time.monotonic()
            place.stand(str(line["at"]), int(line["turns"]), line["core"])
        elif "done" in line:  # by a job whose turn took too long: it goes on by itself
            self._tell(place, {"turn": 0, "game": line["done"]})

    def _give_up_the_late(self) -> None:
        """Where a job has waited for too long, those that have not come are not waited for."""
        now = time.monotonic()
        if any(place.at is not None and now - place.arrived >= self._patience_s for place in self._places):
            for place in self._places:
                place.late = place.late or (place.at is None and not place.gone and not place.alone)

    def _decide(self) -> None:
        """Let those play who are together, and those go on who wait for nobody."""
        while True:
            standing = [place for place in self._places if place.at is not None]
            if not standing or any(place.at is None and not place.gone and not place.late for place in self._places):
                return
            apart = [place for place in standing if not self._awaited(place)]
            first = apart[0] if apart else standing[0]  # none: they come to two cases in different order
            self._play([place for place in standing if place.at == first.at])

    def _awaited(self, place: _Place) -> bool:
        """Whether a job may still come to where one stands."""
        case = place.at
        assert case is not None
        return any(other.at != case and other.may_come_to(case) for other in self._places if other is not place)

    def _play(self, players: list[_Place]) -> None:
        turns = max(place.turns for place in players) if len(players) > 1 else 0
        core = players[0].core if all(place.core is not None for place in players) else None
        self._games += 1
        for place in players:
            place.at, place.alone = None, len(players) == 1
            self._tell(place, {"turns": turns, "core": core, "game": self._games})
        for number in range(turns + 1 if turns else 0):  # the last without calls
            for place in players if number % 2 == 0 else reversed(players):
                if not place.gone and place.at is None and not place.late:
                    self._tell(place, {"turn": number, "game": self._games})
                    self._wait_for_turn(place)

    def _wait_for_turn(self, place: _Place) -> None:
        """Until a job has handed over, or is gone, or has left the case without playing on, or takes too long."""
        end = time.monotonic() + self._patience_s
        while not place.gone:
            while place.lines:
                line = place.lines.popleft()
                if "done" in line:
                    return
                self._take(place, line)
                if place.at is not None:
                    return
            left = end - time.monotonic()
            if left <= 0:
                place.late = True
                return
            for key, _ in self._selector.select(left):
                self._hear(key.data)

    def _tell(self, place: _Place, words: dict[str, Any]) -> None:
        with suppress(OSError):  # it has ended; that is heard when its end is read
            place.end.sendall(json.dumps(words).encode() + b"\n")
