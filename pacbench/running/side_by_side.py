"""Jobs of several runs that do the same, at the same time: their processes take turns at each case (`referee`)."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from functools import cache
from itertools import groupby, zip_longest

from pacbench.records import JobRecord

from .job import Job
from .job_run import JobEnd
from .referee import Referee
from .run_session import BY_CTRL_C, RunSession

Pair = tuple[RunSession, Job]

_KNOWS_SEATS = "import importlib.util as u, sys; sys.exit(u.find_spec('pacbench.running.seat') is None)"
_LOOK_EVERY_S = 1.0


def together(pairs: Iterable[Pair]) -> list[list[Pair]]:
    """Jobs in their order, those that are to run side by side in one list.

    That is one suite in one round, one job of each of several runs. Gates run alone; and so do all jobs on a machine
    with a GPU, where a second process would disturb the samples, and those of a revision that knows no turns.
    """
    found: list[list[Pair]] = []
    for _, group in groupby(pairs, key=lambda pair: (pair[1].is_gate, pair[1].suite, pair[1].round)):
        of_each: dict[int, list[Pair]] = {}
        for pair in group:
            of_each.setdefault(id(pair[0]), []).append(pair)
        for row in zip_longest(*of_each.values()):
            taken = [pair for pair in row if pair is not None]
            apart = taken[0][1].is_gate or not all(_takes_turns(session) for session, _ in taken)
            found += [[pair] for pair in taken] if apart else [taken]
    return found


def do_together(pairs: Sequence[Pair]) -> list[JobRecord]:
    """Run jobs side by side, unless one of them is kept or withheld: then the rest one by one.

    Raises:
        KeyboardInterrupt: passed on, after the jobs have been ended and that has been written down.
        OSError: a folder cannot be written.
    """
    settled = [session.settled(job) for session, job in pairs]
    if len(pairs) == 1 or any(record is not None for record in settled):
        return [record or session.do(job) for (session, job), record in zip(pairs, settled, strict=True)]
    unwanted = threading.Event()
    with Referee(len(pairs)) as referee, ThreadPoolExecutor(len(pairs)) as pool:

        def run(number: int) -> JobEnd:
            session, job = pairs[number]
            try:
                return session.run(job, seat=referee.descriptor(number), unwanted=unwanted.is_set)
            finally:
                referee.left(number)

        futures = [pool.submit(run, number) for number in range(len(pairs))]
        try:
            _wait(futures)
        except KeyboardInterrupt:
            unwanted.set()
            for (session, job), future in zip(pairs, futures, strict=True):
                future.exception()  # when it has been ended
                session.ended(job, BY_CTRL_C)
            raise
    return [session.ended(job, future.result()) for (session, job), future in zip(pairs, futures, strict=True)]


def _wait(futures: list[Future[JobEnd]]) -> None:
    """Return when all are done; in short waits, so that Ctrl-C is heard."""
    while wait_for(futures, _LOOK_EVERY_S).not_done:
        pass


def _takes_turns(session: RunSession) -> bool:
    return not session.environment.gpu and _knows_seats(session.python)


@cache
def _knows_seats(python: str) -> bool:
    if python == sys.executable:
        return True
    words = [python, "-P", "-c", _KNOWS_SEATS]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0  # noqa: S603 (no shell)
