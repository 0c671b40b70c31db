"""Timing by pytest-benchmark, by a number of calls that is fixed before the first of them: the fixture `measure`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest

from pacbench.measuring.cuda_use import cuda_in_use
from pacbench.measuring.device_timer import DeviceTimer, device_timer
from pacbench.measuring.peak_memory import peak_memory

from .case_recorder import CaseRecorder
from .profiles import Profile
from .seat import Seat, Turns

Result = TypeVar("Result")
Setup = Callable[[], "tuple[tuple[Any, ...], dict[str, Any]] | None"]

_LEAST_KNOWN = 3
"""Calls from which the length of a turn is told: the first of a process may take ten times as long as the next."""


class Measure:
    """Times a call and measures its peak memory; what it finds goes to the case's record."""

    def __init__(
        self, benchmark: Any, recorder: CaseRecorder, profile: Profile, *, seat: Seat | None = None, case: str = ""
    ) -> None:
        self._benchmark = benchmark
        self._recorder = recorder
        self._profile = profile
        self._seat = seat
        self._case = case
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
        timing is recorded. On a GPU the samples are the device's, and pytest-benchmark's own are its export alone: each
        call is timed by the device with a cold L2 cache, after warm-up until the clocks are steady.

        Args:
            fn: What to time. It is called `warmup` times first, more often if it is short, and once more afterwards for
                its peak memory.
            rounds: How many timed calls; None for the profile's number, which is fixed by the fastest call before (on a
                GPU the profile's least).
            warmup: How many calls go before, untimed, at the least.
            setup: Runs before each call, untimed; may return ``(args, kwargs)`` for `fn`.

        Returns:
            The result of the last call.

        Raises:
            pytest.fail.Exception: on a GPU, if too few samples count: it was throttled, or is not to be believed.
        """
        self._used = True
        timer = device_timer(self._recorder.device) if self._benchmark.enabled else None
        if timer is not None:
            result = self._timed_on_device(timer, fn, rounds or self._profile.timed_calls, warmup, setup)
        else:
            fn = _synchronised(fn)
            least = warmup if self._seat is None else max(warmup, _LEAST_KNOWN)
            seconds = self._warmed_up(fn, least, setup) if self._benchmark.enabled else 0.0
            turns = self._meet(seconds, rounds)
            if turns is not None:
                result = self._timed_in_turns(turns, fn, setup)
            else:
                rounds = rounds or self._profile.calls(seconds)
                result = self._benchmark.pedantic(fn, setup=setup, rounds=rounds, iterations=1)
            if self._benchmark.stats is None:
                return result
            self._recorder.samples_s = list(self._benchmark.stats.stats.data)
        del result
        args, kwargs = (setup() if setup is not None else None) or ((), {})
        result, self._recorder.peak_memory_bytes = peak_memory(lambda: fn(*args, **kwargs), self._recorder.device)
        return result

    def _warmed_up(self, fn: Callable[..., Any], warmup: int, setup: Setup | None) -> float:
        """Call it untimed, short ones for a fourth of the time that they are timed for; seconds of the fastest call."""
        began = time.perf_counter()
        calls, fastest = 0, math.inf
        while calls < max(1, warmup) or time.perf_counter() - began < self._profile.timed_s / 4:
            args, kwargs = (setup() if setup is not None else None) or ((), {})
            start = time.perf_counter()
            fn(*args, **kwargs)
            calls, fastest = calls + 1, min(fastest, time.perf_counter() - start)
        return fastest

    def _meet(self, seconds: float, rounds: int | None) -> Turns | None:
        """Wait for the jobs that run side by side with this one; None where there is none, or none comes here."""
        if self._seat is None or not self._benchmark.enabled:
            return None
        profile, torch = self._profile, sys.modules.get("torch")
        return self._seat.arrive(
            self._case, seconds, rounds=rounds, least=profile.timed_calls, timed_s=profile.timed_s,
            one_thread=torch is not None and torch.get_num_threads() == 1,
        )  # fmt: skip

    def _timed_in_turns(self, turns: Turns, fn: Callable[..., Result], setup: Setup | None) -> Result:
        """Time by pytest-benchmark's rounds, some of them in each turn."""
        seat = self._seat
        assert seat is not None
        wanted, ended = turns.number * turns.calls, 0

        def given() -> tuple[tuple[Any, ...], dict[str, Any]]:
            return (setup() if setup is not None else None) or ((), {})

        def prepare() -> tuple[tuple[Any, ...], dict[str, Any]]:
            if ended < wanted and ended % turns.calls == 0:
                seat.begin_turn()
                if turns.warmed:
                    args, kwargs = given()
                    fn(*args, **kwargs)
            return given()

        def end(*_args: Any, **_kwargs: Any) -> None:
            nonlocal ended
            ended += 1
            if ended <= wanted and ended % turns.calls == 0:
                seat.end_turn()

        with turns.on_their_core():
            result: Result = self._benchmark.pedantic(fn, setup=prepare, teardown=end, rounds=wanted, iterations=1)
            seat.stay()
        self._recorder.turns = [sample // turns.calls for sample in range(wanted)]
        return result

    def _timed_on_device(
        self, timer: DeviceTimer, fn: Callable[..., Result], rounds: int, warmup: int, setup: Setup | None
    ) -> Result:
        """Time by the device within pytest-benchmark's rounds: its set-up and tear-down are those of a sample."""

        def prepare() -> tuple[tuple[Any, ...], dict[str, Any]] | None:
            given = setup() if setup is not None else None
            timer.prepare()
            return given

        def timed(*args: Any, **kwargs: Any) -> Result:
            return timer.time(partial(fn, *args, **kwargs))

        def end(*_args: Any, **_kwargs: Any) -> None:
            timer.end()

        def sample() -> None:
            args, kwargs = prepare() or ((), {})
            timed(*args, **kwargs)
            end()

        timer.settle(sample, warmup)
        result: Result = self._benchmark.pedantic(timed, setup=prepare, teardown=end, rounds=rounds, iterations=1)
        times = timer.finish()
        self._recorder.device_samples, self._recorder.samples_s = times.samples, times.kept_s
        for note in times.notes:
            self._recorder.note(note)
        if times.trouble is not None:
            pytest.fail(times.trouble, pytrace=False)
        return result

    def finish(self) -> None:
        """Keep pytest-benchmark from complaining about a test that failed before it measured anything."""
        if not self._used:
            self._benchmark.skipped = True


def _synchronised(fn: Callable[..., Result]) -> Callable[..., Result]:
    """A call that launches GPU work has ended when the work has."""
    if not cuda_in_use():
        return fn
    import torch

    def call(*args: Any, **kwargs: Any) -> Result:
        result = fn(*args, **kwargs)
        torch.cuda.synchronize()
        return result

    return call
