"""The few scalars of each method: the best of its grid on the train scenes, by mean RMSE.

Every setting of the grid is tried; nothing is drawn at random and no clock is read, so that the same scenes give
the same scalars whatever backend is under test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from pacbench.metrics.root_mean_square_error import root_mean_square_error

from .datasets import Item, UpsamplingDataset
from .methods import Method, Scalars
from .sampling import LowResolution, evaluated, low_resolution


@dataclass(frozen=True)
class Tuned:
    """The scalars found, and how."""

    values: Scalars
    rmse: float
    settings: int
    images: int
    factor: int
    dataset: str

    def note(self) -> str:
        """One sentence for the method's row."""
        found = ", ".join(f"{name} {value:g}" for name, value in self.values.items())
        return (
            f"{found}: the best of {self.settings} settings by mean RMSE ({self.rmse:.4g}) on {self.images} train "
            f"scenes at factor {self.factor} ({self.dataset}), and on nothing else"
        )


class Tuner:
    """Tunes each method at each factor once in a session."""

    def __init__(self, dataset: UpsamplingDataset) -> None:
        self._dataset = dataset
        self._samples: dict[int, list[tuple[Item, LowResolution]]] = {}
        self._known: dict[tuple[str, int], Tuned] = {}

    def tuned(self, method: Method, factor: int) -> Tuned | None:
        """The scalars of a method at a factor; None for one that has none."""
        if not method.grid:
            return None
        key = (method.name, factor)
        if key not in self._known:
            self._known[key] = self._tune(method, factor)
        return self._known[key]

    def _tune(self, method: Method, factor: int) -> Tuned:
        samples = self._samples_at(factor)
        tried = [(self._rmse(method, scalars, samples), scalars) for scalars in settings(method.grid)]
        rmse, values = min(tried, key=lambda pair: pair[0])
        return Tuned(values, rmse, len(tried), len(samples), factor, self._dataset.name)

    def _samples_at(self, factor: int) -> list[tuple[Item, LowResolution]]:
        if factor not in self._samples:
            self._dataset.first()
            items = [item for item in self._dataset.items() if isinstance(item, Item)]
            self._samples[factor] = [
                (item, low_resolution(item.guide, item.truth, item.known, factor)) for item in items
            ]
        return self._samples[factor]

    def _rmse(self, method: Method, scalars: Scalars, samples: list[tuple[Item, LowResolution]]) -> float:
        upsample = method.build(scalars, None)
        return fmean(
            root_mean_square_error(upsample(low)[0, 0], item.truth, evaluated(item.known)) for item, low in samples
        )


def settings(grid: Mapping[str, Sequence[float]]) -> Iterator[dict[str, float]]:
    """Every combination of a grid's values."""
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))
