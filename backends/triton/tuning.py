"""Choosing tiles by measuring, beforehand: never while something is timed.

`tune` makes a call with each candidate of each kernel that it launches and keeps the fastest, by kernel and class of
shapes, for the device that it ran on. A launch that was not tuned takes the default. `save` and `load` carry what was
found to other processes.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .configurations import Tile

ROUNDS = 7


class Key(NamedTuple):
    """What a choice holds for: a device, a kernel, its precision, and its channels."""

    device: str
    kernel: str
    precision: str
    inner: int
    outer: int
    guide: int


# Of the process and not of a thread: torch computes gradients on a thread of its own. One call is tuned at a time.
_kept: dict[Key, Tile] = {}
_forced: dict[Key, Tile] = {}
_watched: dict[Key, list[Tile]] | None = None


def chosen(key: Key, tiles: list[Tile]) -> Tile:
    """The tile for a launch: what a trial asks for, or what was tuned, or the first."""
    if _watched is not None:
        _watched.setdefault(key, tiles)
    kept = _kept.get(key)
    return _forced.get(key) or (kept if kept in tiles else None) or tiles[0]


def tune(call: Callable[[], object], timer: Callable[[Callable[[], object]], float] | None = None) -> dict[Key, Tile]:
    """Find the fastest tile of every kernel that a call launches, and keep it for this process.

    Args:
        call: Makes the call, its gradients too if they are to be tuned. It is made some hundred times.
        timer: Seconds of one call; by default the median of device times, by CUDA events.

    Returns:
        The tile of each kernel, the default's where nothing was faster.
    """
    timer = timer or _device_time
    with _watching() as seen:
        call()
    best: dict[Key, Tile] = {}
    for key, tiles in seen.items():
        times = {}
        for tile in tiles:
            with _forcing({**best, key: tile}):
                call()  # compiles it
                times[tile] = timer(call)
        best[key] = min(times, key=lambda tile: times[tile])
    _kept.update(best)
    return best


def forget() -> None:
    """Take the defaults again."""
    _kept.clear()


def save(path: Path) -> None:
    """Write what this process keeps, of all devices that it tuned on or loaded, as JSON."""
    tiles = [{"key": key._asdict(), "tile": tile._asdict()} for key, tile in sorted(_kept.items())]
    path.write_text(json.dumps({"triton": version("triton"), "tiles": tiles}, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> dict[Key, Tile]:
    """Keep what a file of `save` holds; a tile that is no candidate any more is passed over when a launch asks.

    Returns:
        What the file holds.

    Raises:
        ValueError: another version of Triton compiled what was measured, or the file holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        made_by = found["triton"]
        tiles = {Key(**entry["key"]): Tile(**entry["tile"]) for entry in found["tiles"]}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"tuning: got {path}, which holds {error!r}, expected a file of tuned tiles") from error
    if made_by != version("triton"):
        raise ValueError(f"tuning: got tiles tuned with triton {made_by}, expected triton {version('triton')}")
    _kept.update(tiles)
    return tiles


@contextmanager
def _watching() -> Iterator[dict[Key, list[Tile]]]:
    global _watched
    seen: dict[Key, list[Tile]] = {}
    _watched = seen
    try:
        yield seen
    finally:
        _watched = None


@contextmanager
def _forcing(tiles: Mapping[Key, Tile]) -> Iterator[None]:
    _forced.update(tiles)
    try:
        yield
    finally:
        _forced.clear()


def _device_time(call: Callable[[], object]) -> float:
    event: Any = torch.cuda.Event
    times: list[float] = []
    for _ in range(ROUNDS):
        begin, end = event(enable_timing=True), event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(times)
