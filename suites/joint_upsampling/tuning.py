"""The few scalars of each method: the best of its grid on the images to tune on, by their mean error.

Every setting of the grid is tried; nothing is drawn at random and no clock is read, so that the same images give
the same scalars whatever backend is under test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from .datasets import Item, UpsamplingDataset
from .methods import Method, Scalars
from .sampling import LowResolution
from .scoring import error, main_error


@dataclass(frozen=True)
class Tuned:
    """The scalars found, and how."""

    values: Scalars
    error: float
    measure: str
    settings: int
    images: int
    factor: int
    dataset: str

    def note(self) -> str:
        """One sentence for the method's row."""
        found = ", ".join(f"{name} {value:g}" for name, value in self.values.items())
        return (
            f"{found}: the best of {self.settings} settings by mean {self.measure} ({self.error:.4g}) on {self.images} "
            f"images at factor {self.factor} ({self.dataset}), and on nothing else"
        )


class Tuner:
    """Tunes each method at each factor once in a session, on each data set that it is asked for."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], list[tuple[Item, LowResolution]]] = {}
        self._known: dict[tuple[str, str, int], Tuned] = {}

    def tuned(self, method: Method, factor: int, dataset: UpsamplingDataset) -> Tuned | None:
        """The scalars of a method at a factor; None for one that has none."""
        if not method.grid:
            return None
        key = (dataset.name, method.name, factor)
        if key not in self._known:
            self._known[key] = self._tune(method, factor, dataset)
        return self._known[key]

    def _tune(self, method: Method, factor: int, dataset: UpsamplingDataset) -> Tuned:
        samples = self._samples_at(factor, dataset)

        def mean_error(scalars: Scalars) -> float:
            upsample = method.build(scalars, None)
            return fmean(error(dataset, item, upsample(low)[0]) for item, low in samples)

        tried = [(mean_error(scalars), scalars) for scalars in settings(method.grid)]
        least, values = min(tried, key=lambda pair: pair[0])
        measure = main_error(dataset.kind).upper()
        return Tuned(values, least, measure, len(tried), len(samples), factor, dataset.name)

    def _samples_at(self, factor: int, dataset: UpsamplingDataset) -> list[tuple[Item, LowResolution]]:
        key = (dataset.name, factor)
        if key not in self._samples:
            dataset.first()
            items = [item for item in dataset.items() if isinstance(item, Item)]
            self._samples[key] = [(item, item.at(factor)) for item in items]
        return self._samples[key]


def settings(grid: Mapping[str, Sequence[float]]) -> Iterator[dict[str, float]]:
    """Every combination of a grid's values."""
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))
