"""Timing by pytest-benchmark, by a number of calls that is fixed before the first of them: the fixture `measure`."""

from __future__ import annotations

import math
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

Result = TypeVar("Result")
Setup = Callable[[], "tuple[tuple[Any, ...], dict[str, Any]] | None"]


class Measure:
    """Times a call and measures its peak memory; what it finds goes to the case's record."""

    def __init__(self, benchmark: Any, recorder: CaseRecorder, profile: Profile) -> None:
        self._benchmark = benchmark
        self._recorder = recorder
        self._profile = profile
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
            seconds = self._warmed_up(fn, warmup, setup) if self._benchmark.enabled else 0.0
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
