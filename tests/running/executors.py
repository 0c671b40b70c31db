"""Executors to run jobs with: pools of this machine, and one that goes wrong as it is told."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from pacbench.running import turn as turn_module


@contextmanager
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@contextmanager
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


class Faulty(Executor):
    """Runs everything at once, then hands the result to a fault, which makes a future of it."""

    def __init__(self, fault: Callable[[Callable[[], Any], int], Any]) -> None:
        self._fault = fault
        self.turns = 0

    def submit(self, fn, /, *arguments, **rest):  # type: ignore[no-untyped-def]
        future: Future[Any] = Future()
        try:
            if fn is turn_module.work_off:
                self.turns += 1
                future.set_result(self._fault(lambda: fn(*arguments, **rest), self.turns))
            else:
                future.set_result(fn(*arguments, **rest))
        except Exception as error:
            future.set_exception(error)
        return future
