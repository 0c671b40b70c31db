from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pacbench.registry import get_backend
from pacbench.suites.crf.dataset import CrfDataset, Extent, embedded_scenes
from pacbench.suites.crf.methods import METHODS
from pacbench.suites.crf.tuning import Tuned, Tuner, coordinate_ascent

GRID = {"a": (0.0, 1.0, 2.0, 3.0), "b": (0.0, 1.0, 2.0)}
CONV = next(method for method in METHODS if method.name == "conv_crf_7")


def _hill(scalars: Mapping[str, float]) -> float:
    return -((scalars["a"] - 3) ** 2) - (scalars["b"] - 1) ** 2


@pytest.fixture(scope="module")
def scenes() -> CrfDataset:
    return embedded_scenes(Extent((48, 64), 2, 1, None))


def test_the_search_climbs_to_the_top() -> None:
    search = coordinate_ascent(_hill, GRID, {"a": 0.0, "b": 0.0}, budget=100)
    assert search.best == {"a": 3.0, "b": 1.0}
    assert search.best_score == 0
    assert search.start_score == -10
    assert search.finished


def test_no_setting_is_scored_twice() -> None:
    asked: list[tuple[float, ...]] = []

    def score(scalars: Mapping[str, float]) -> float:
        asked.append(tuple(scalars.values()))
        return _hill(scalars)

    search = coordinate_ascent(score, GRID, {"a": 1.0, "b": 2.0}, budget=100)
    assert len(asked) == len(set(asked)) == search.evaluations


@pytest.mark.parametrize("budget", [1, 2, 3, 4])
def test_the_budget_is_kept_and_the_best_is_told(budget: int) -> None:
    search = coordinate_ascent(_hill, GRID, {"a": 0.0, "b": 0.0}, budget)
    assert search.evaluations == budget
    assert search.best == {"a": budget - 1.0, "b": 0.0}
    assert not search.finished


def test_the_start_is_kept_where_nothing_is_better() -> None:
    search = coordinate_ascent(lambda _: 0.5, GRID, {"a": 1.0, "b": 1.0}, budget=100)
    assert search.best == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_start_is_on_its_grid(method: object) -> None:
    assert all(method.start[name] in values for name, values in method.grid.items())  # type: ignore[attr-defined]
    assert all(list(values) == sorted(values) for values in method.grid.values())  # type: ignore[attr-defined]


def test_scalars_are_kept_in_the_run_folder(scenes: CrfDataset, tmp_path: Path) -> None:
    backend = get_backend("unfold")
    first = Tuner(scenes, 3, tmp_path).tuned(CONV, backend)
    assert first is not None
    assert first.evaluations == 3
    assert first.images == 2
    assert first.miou >= first.start_miou
    (path,) = (tmp_path / "tuning").iterdir()
    told = first.model_copy(update={"miou": 0.123})
    path.write_text(told.model_dump_json(), encoding="utf-8")
    assert Tuner(scenes, 3, tmp_path).tuned(CONV, backend) == told
    assert Tuner(scenes, 2, tmp_path).tuned(CONV, backend) != told  # another budget is another key
    assert "tuned on 2 images of train only" in first.note()


def test_tuning_repeats_itself(scenes: CrfDataset) -> None:
    backend = get_backend("unfold")
    assert Tuner(scenes, 3, None).tuned(CONV, backend) == Tuner(scenes, 3, None).tuned(CONV, backend)


def test_the_unary_has_nothing_to_tune(scenes: CrfDataset) -> None:
    assert Tuner(scenes, 3, None).tuned(METHODS[0], get_backend("unfold")) is None


def test_a_corrupt_file_is_named(scenes: CrfDataset, tmp_path: Path) -> None:
    backend = get_backend("unfold")
    Tuner(scenes, 1, tmp_path).tuned(CONV, backend)
    (path,) = (tmp_path / "tuning").iterdir()
    for text in ("{", Tuned.model_construct(key="x").model_dump_json(warnings=False)):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=rf"{path.name}: got a file that does not fit the schema"):
            Tuner(scenes, 1, tmp_path).tuned(CONV, backend)
