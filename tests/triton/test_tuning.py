"""Tiles: what is tried, what is left out, and that the fastest by a timer is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pacbench.backends.triton import configurations, tuning
from pacbench.backends.triton.configurations import Tile, candidates
from pacbench.backends.triton.tuning import Key

KEY = Key("some GPU", "gather_contraction", "tf32", 32, 32, 5)


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    tuning.forget()
    yield
    tuning.forget()


@pytest.mark.parametrize("precision", ["tf32", "ieee", "narrow"])
@pytest.mark.parametrize("channels", [1, 21, 32, 64, 300])
def test_candidates_fit(precision: str, channels: int) -> None:
    size = {"tf32": 4, "ieee": 8, "narrow": 2}[precision]
    found = candidates("gather_contraction", precision, size, channels, channels, 5, "sm_90")
    assert found
    assert len(set(found)) == len(found)
    for tile in found:
        assert tile.inner >= 16
        assert tile.outer >= 16
        assert tile.guide == 8
        assert configurations.shared(tile, size) <= configurations.SHARED_BYTES["sm_90"]


def test_a_kernel_may_have_a_default_of_its_own() -> None:
    first, own = (
        candidates(kernel, "ieee", 8, 32, 32, 5, "sm_90") for kernel in ("kernel_gradient", "weight_gradient")
    )
    assert (first[0].stages, own[0].stages) == (3, configurations.STAGES["weight_gradient", "ieee", 8])
    assert set(first) == set(own)


def test_what_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    every = candidates("gather_contraction", "tf32", 4, 64, 64, 5, "sm_90")
    monkeypatch.setitem(configurations.SHARED_BYTES, "sm_90", 33000)
    fewer = candidates("gather_contraction", "tf32", 4, 64, 64, 5, "sm_90")
    assert 0 < len(fewer) < len(every)
    assert all(configurations.shared(tile, 4) <= 33000 for tile in fewer)


def test_the_fastest_is_kept_and_the_default_taken_otherwise() -> None:
    tiles = candidates("gather_contraction", "tf32", 4, 32, 32, 5, "sm_90")
    fastest = tiles[2]
    taken: list[Tile] = []

    def call() -> None:
        taken.append(tuning.chosen(KEY, tiles))

    def timer(call: Callable[[], object]) -> float:
        call()
        return 1.0 if taken[-1] == fastest else 2.0

    assert tuning.chosen(KEY, tiles) == tiles[0]
    assert tuning.tune(call, timer) == {KEY: fastest}
    assert set(taken) == set(tiles)
    assert tuning.chosen(KEY, tiles) == fastest
    assert tuning.chosen(KEY._replace(device="another GPU"), tiles) == tiles[0]


def test_a_failed_trial_leaves_the_default() -> None:
    tiles = candidates("gather_contraction", "tf32", 4, 32, 32, 5, "sm_90")

    def timer(_: Callable[[], object]) -> float:
        raise RuntimeError("out of shared memory")

    with pytest.raises(RuntimeError, match="out of shared memory"):
        tuning.tune(lambda: tuning.chosen(KEY, tiles), timer)
    assert tuning.chosen(KEY, tiles) == tiles[0]
