"""Timing by pytest-benchmark, with fixed rounds: the fixture `measure`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from pacbench.measuring.peak_memory import peak_memory

from .case_recorder import CaseRecorder

Result = TypeVar("Result")
Setup = Callable[[], "tuple[tuple[Any, ...], dict[str, Any]] | None"]


class Measure:
    """Times a call and measures its peak memory; what it finds goes to the case's record."""

    def __init__(self, benchmark: Any, recorder: CaseRecorder, rounds: int) -> None:
        self._benchmark = benchmark
        self._recorder = recorder
        self._rounds = rounds
        self._used = False

    def __call__(
        self,
        fn: Callable[..., Result],
        *,
        rounds: int | None = None,
        warmup: int = 1,
        setup: Setup | None = None,
    ) -> Result:
        """Time a call; at most once in a test.

        Where pytest-benchmark is disabled (by pytest-xdist or ``--benchmark-disable``), the call runs once and no
        timing is recorded.

        Args:
            fn: What to time. It is called `warmup` times first, and once more afterwards for its peak memory.
            rounds: How many timed calls; None for the profile's number.
            warmup: How many calls go before, untimed.
            setup: Runs before each call, untimed; may return ``(args, kwargs)`` for `fn`.

        Returns:
            The result of the last call.
        """
        self._used = True
        target = _synchronised(fn)
        result: Result = self._benchmark.pedantic(
            target, setup=setup, rounds=rounds or self._rounds, warmup_rounds=warmup, iterations=1
        )
        if self._benchmark.stats is None:
            return result
        self._recorder.samples_s = list(self._benchmark.stats.stats.data)
        del result
        args, kwargs = (setup() if setup is not None else None) or ((), {})
        result, self._recorder.peak_memory_bytes = peak_memory(lambda: fn(*args, **kwargs), self._recorder.device)
        return result

    def finish(self) -> None:
        """Keep pytest-benchmark from complaining about a test that failed before it measured anything."""
        if not self._used:
            self._benchmark.skipped = True


def _synchronised(fn: Callable[..., Result]) -> Callable[..., Result]:
    """A call that launches GPU work has ended when the work has."""
    torch = sys.modules.get("torch")
    if torch is None or not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return fn

    def call(*args: Any, **kwargs: Any) -> Result:
        result = fn(*args, **kwargs)
        torch.cuda.synchronize()
        return result

    return call
