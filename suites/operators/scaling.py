"""How a case's time grows: with threads, and with the image."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from pacbench.backend import Backend

from .cases import Direction
from .interleaving import seconds_of
from .subjects import Subject

SIDES_OF_PROFILE: dict[str, tuple[int, ...]] = {
    "quick": (16, 32, 48),
    "standard": (128, 256, 512, 1024, 2048),
    "full": (128, 256, 512, 1024, 2048),
}


def seconds_by_threads(
    subject: Subject, direction: Direction, backend: Backend, counts: Sequence[int], turns: int
) -> dict[int, float]:
    """Median seconds for each number of torch's threads, in turns; the number of threads is set back afterwards."""
    call = subject.backend_call(backend, direction)
    before = torch.get_num_threads()
    samples: dict[int, list[float]] = {count: [] for count in counts}
    try:
        for _ in range(turns):
            for count in counts:
                torch.set_num_threads(count)
                call()
                samples[count].append(seconds_of(call))
    finally:
        torch.set_num_threads(before)
    return {count: statistics.median(found) for count, found in samples.items()}


def seconds_per_pixel(
    subject: Subject, direction: Direction, backend: Backend, sides: Sequence[int], turns: int
) -> dict[int, float]:
    """Median seconds per pixel on square images of each side, in turns."""
    calls: dict[int, Callable[[], object]] = {
        side: Subject(replace(subject.case, image=(side, side))).backend_call(backend, direction) for side in sides
    }
    samples: dict[int, list[float]] = {side: [] for side in sides}
    for _ in range(turns):
        for side, call in calls.items():
            call()
            samples[side].append(seconds_of(call) / side**2)
    return {side: statistics.median(found) for side, found in samples.items()}


def spread_percent(values: Sequence[float]) -> float:
    """How much larger the largest of some positive values is than the smallest, in percent."""
    return 100 * (max(values) / min(values) - 1)
