"""Tiles: what is tried, what is left out, and that the fastest by a timer is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

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


@pytest.mark.usefixtures("needs_triton")
class TestFile:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """A file of what another process tuned."""
        tiles = candidates(KEY.kernel, "tf32", 4, 32, 32, 5, "sm_90")

        def timer(call: Callable[[], object]) -> float:
            del call
            return next(times)

        times = iter([3.0, 2.0, 1.0, *[4.0] * len(tiles)])
        tuning.tune(lambda: tuning.chosen(KEY, tiles), timer)
        tuning.save(tmp_path / "tiles.json")
        tuning.forget()
        return tmp_path / "tiles.json"

    def test_another_process_takes_what_was_tuned(self, file: Path) -> None:
        tiles = candidates(KEY.kernel, "tf32", 4, 32, 32, 5, "sm_90")
        assert tuning.load(file) == {KEY: tiles[2]}
        assert tuning.chosen(KEY, tiles) == tiles[2]
        assert tuning.chosen(KEY._replace(device="another GPU"), tiles) == tiles[0]

    def test_a_tile_that_is_no_candidate_any_more_is_passed_over(self, file: Path) -> None:
        tiles = candidates(KEY.kernel, "tf32", 4, 32, 32, 5, "sm_90")
        tuning.load(file)
        assert tuning.chosen(KEY, tiles[:2]) == tiles[0]

    @pytest.mark.parametrize(
        ("was", "becomes", "message"),
        [
            ('"triton": "', '"triton": "0.', r"got tiles tuned with triton 0\..*, expected triton"),
            ('"warps"', '"wraps"', "expected a file of tuned tiles"),
            ("{", "", "expected a file of tuned tiles"),
        ],
        ids=["triton", "tile", "json"],
    )
    def test_what_is_not_of_this_triton_is_refused(self, was: str, becomes: str, message: str, file: Path) -> None:
        file.write_text(file.read_text().replace(was, becomes))
        with pytest.raises(ValueError, match=message):
            tuning.load(file)
        tiles = candidates(KEY.kernel, "tf32", 4, 32, 32, 5, "sm_90")
        assert tuning.chosen(KEY, tiles) == tiles[0]
