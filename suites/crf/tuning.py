"""The few scalars of each method, tuned on the training split alone, by mIoU.

Coordinate ascent on the method's grid: from its start, each scalar in turn moves to the neighbouring value as
long as mIoU rises; it ends when no move helps or the budget of evaluations is spent. Nothing is drawn at random
and no clock is read, so the same data give the same scalars. What was found is kept in the run folder, for later
rounds and other backends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from pacbench.backend import Backend
from pacbench.measuring.package_hash import package_hash
from pacbench.metrics.mean_iou import MeanIoUMeter

from .dataset import CrfDataset, Item
from .methods import Method, Scalars

EVALUATIONS = {"quick": 6, "standard": 10, "full": 60}


class Tuned(BaseModel):
    """The outcome for one method on one data set.

    Attributes:
        key: digest of everything that the outcome depends on.
        images: how many images it was tuned on.
        values: the scalars found.
        start_miou: mIoU of the start on the tuning split, 0..1.
        miou: mIoU of what was found, on the tuning split.
        evaluations: how many settings were tried.
        finished: whether no move helped any more, rather than the budget being spent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    key: str
    method: str
    dataset: str
    split: str
    images: int
    values: dict[str, float]
    start_miou: float
    miou: float
    evaluations: int
    finished: bool

    def note(self) -> str:
        """One sentence for the method's row."""
        found = ", ".join(f"{name} {value:g}" for name, value in self.values.items())
        end = "no move helped any more" if self.finished else "the budget was spent"
        return (
            f"{found}: tuned on {self.images} images of {self.split} only, {self.evaluations} settings tried until "
            f"{end}, mIoU there {100 * self.start_miou:.1f} % to {100 * self.miou:.1f} %"
        )


@dataclass
class Tuner:
    """Tunes each method once in a session, and once in a run where there is a run folder."""

    dataset: CrfDataset
    budget: int
    run_folder: Path | None

    def __post_init__(self) -> None:
        self._known: dict[str, Tuned] = {}
        self._items: list[Item] | None = None

    def tuned(self, method: Method, backend: Backend) -> Tuned | None:
        """The scalars of a method; None for one that has none."""
        if not method.grid:
            return None
        if method.name not in self._known:
            self._known[method.name] = self._read(method) or self._tune(method, backend)
        return self._known[method.name]

    def _path(self, method: Method) -> Path | None:
        if self.run_folder is None:
            return None
        return self.run_folder / "tuning" / f"crf-{method.name}-{self._key(method)}.json"

    def _key(self, method: Method) -> str:
        parts = [
            self.dataset.name,
            self.dataset.tuning.ids,
            method.name,
            dict(method.grid),
            dict(method.start),
            self.budget,
            self.dataset.digest,
            package_hash(),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def _read(self, method: Method) -> Tuned | None:
        path = self._path(method)
        if path is None or not path.is_file():
            return None
        try:
            tuned = Tuned.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ValueError(
                f"{path}: got a file that does not fit the schema, expected the tuned scalars of "
                f"{method.name}; delete it to tune again"
            ) from error
        return tuned if tuned.key == self._key(method) else None

    def _tune(self, method: Method, backend: Backend) -> Tuned:
        if self._items is None:
            self._items = list(self.dataset.tuning.good_items())
        items = self._items
        if not items:
            self.dataset.tuning.first()

        def miou(scalars: Scalars) -> float:
            inference = method.inference(self.dataset.num_classes, scalars, backend)
            device = method.device(backend)
            meter = MeanIoUMeter(self.dataset.num_classes)
            with torch.no_grad():
                for item in items:
                    scores = inference.steps(item.unary.to(device), inference.kernel(item.image.to(device)))
                    meter.add(scores.argmax(dim=1)[0].cpu(), item.labels)
            return meter.result().mean

        search = coordinate_ascent(miou, method.grid, method.start, self.budget)
        tuned = Tuned(
            key=self._key(method),
            method=method.name,
            dataset=self.dataset.name,
            split=self.dataset.tuning.name,
            images=len(items),
            values=dict(search.best),
            start_miou=search.start_score,
            miou=search.best_score,
            evaluations=search.evaluations,
            finished=search.finished,
        )
        path = self._path(method)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            unfinished.write_text(tuned.model_dump_json(indent=1), encoding="utf-8")
            unfinished.replace(path)
        return tuned


@dataclass(frozen=True)
class Search:
    """How a coordinate ascent ended."""

    best: Scalars
    best_score: float
    start_score: float
    evaluations: int
    finished: bool


class _BudgetSpentError(Exception):
    """Every evaluation allowed has been made."""


def coordinate_ascent(
    score: Callable[[Scalars], float], grid: Mapping[str, Sequence[float]], start: Scalars, budget: int
) -> Search:
    """Raise `score` from neighbour to neighbour on `grid`, one scalar after the other.

    Args:
        score: of one setting; higher is better. Each setting is scored once.
        grid: the values of each scalar, ascending.
        start: one of the grid's values for each scalar.
        budget: evaluations allowed, at least 1.
    """
    scored: dict[tuple[int, ...], float] = {}
    names = list(grid)

    def at(place: tuple[int, ...]) -> float:
        if place not in scored:
            if len(scored) >= budget:
                raise _BudgetSpentError
            scored[place] = score(_setting(grid, place))
        return scored[place]

    best = tuple(list(grid[name]).index(start[name]) for name in names)
    start_score = at(best)
    finished = False
    try:
        while not finished:
            before = best
            for axis in range(len(names)):
                for direction in (1, -1):
                    while (place := _moved(best, axis, direction, len(grid[names[axis]]))) and at(place) > at(best):
                        best = place
            finished = best == before
    except _BudgetSpentError:
        best = max(scored, key=lambda place: (scored[place], place == best))
    return Search(_setting(grid, best), scored[best], start_score, len(scored), finished)


def _setting(grid: Mapping[str, Sequence[float]], place: tuple[int, ...]) -> dict[str, float]:
    return {name: grid[name][index] for name, index in zip(grid, place, strict=True)}


def _moved(place: tuple[int, ...], axis: int, direction: int, count: int) -> tuple[int, ...] | None:
    index = place[axis] + direction
    return (*place[:axis], index, *place[axis + 1 :]) if 0 <= index < count else None
