"""The kernels under sanitizers and the shim's own checks: clean as they are, red with a fault planted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cuda_emulated import sanitizing

pytestmark = pytest.mark.usefixtures("emulated_library")


def _skip_without(check: str) -> None:
    if sanitizing.runtime_of(check) is None:
        pytest.skip(f"the C++ compiler has no {sanitizing.SANITIZERS[check].runtime}")


@pytest.mark.parametrize(
    ("check", "calls"),
    [
        pytest.param("none", (), id="none"),
        pytest.param("memory", (), id="memory"),
        pytest.param("races", ("tiled", "tiled, kernel given"), id="races"),
        pytest.param("races", (), id="races-all", marks=pytest.mark.deep),
    ],
)
def test_clean(
    check: str, calls: tuple[str, ...], tmp_path: Path, green_once: Callable[..., Callable[..., None]]
) -> None:
    _skip_without(check)
    write_down = green_once("every kernel", sanitizer=check)
    done = sanitizing.exercise(sanitizing.build(tmp_path, check), check, *calls)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    write_down()


@pytest.mark.parametrize("name", sanitizing.FAULTS)
def test_a_planted_fault_is_found(name: str, tmp_path: Path) -> None:
    fault = sanitizing.FAULTS[name]
    _skip_without(fault.check)
    done = sanitizing.exercise(sanitizing.build(tmp_path, fault.check, fault), fault.check, fault.call)
    assert done.returncode != 0
    assert fault.says in done.stdout + done.stderr, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_threads_and_blocks_does_not_matter(
    seed: int, emulated_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMT_SEED", str(seed))
    done = sanitizing.exercise(emulated_library, "none")
    assert done.returncode == 0, done.stdout + done.stderr
