"""What all tests share."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

DEEP_RESULTS = Path(__file__).parents[1] / "reports" / "reference" / "deep"
"""What of `tox -e deep` was green, one JSON line each, with what that depends on: not repeated until it changes."""

BuiltOnce = Callable[[str, Callable[[Path], object]], Path]


def pytest_configure() -> None:
    """What a shell puts in the background ignores Ctrl-C, and so would every process that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _xdist_is_no_business_of_subprocesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pytest that a test starts is not a worker of the pytest that runs the test, though it inherits its variables.

    pytest-benchmark, for one, measures nothing where it believes itself in a worker.
    """
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run() -> None:
    """Torch's own generator starts every test from the same place, whatever ran before in the process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def _compiler_imported() -> None:
    """Torch's compiler, and Triton with it, cannot be imported twice in a process: the second time ends it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        import torch._inductor.compile_fx  # noqa: F401 (the import is what matters)


@pytest.fixture
def pytester(_compiler_imported: None, pytester: pytest.Pytester) -> pytest.Pytester:
    """Pytester, which forgets the modules that were first imported since it began."""
    return pytester


@pytest.fixture(scope="session")
def built_once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BuiltOnce:
    """Gives the folder of a name, filled by a function that is given it: once in a run, though workers share the run.

    The first process of pytest-xdist that asks fills it, and the others wait. What raises is tried anew by the next.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "built-once"
    folder.mkdir(exist_ok=True)

    def built(name: str, fill: Callable[[Path], object]) -> Path:
        finished, filling = folder / name, folder / f"{name}.filling"
        with FileLock(folder / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(filling, ignore_errors=True)
                filling.mkdir()
                fill(filling)
                filling.rename(finished)
        return finished

    return built


def _key(sources: Sequence[Path], more: dict[str, Any]) -> dict[str, Any]:
    import torch

    from pacbench.measuring.package_hash import sources_hash

    return {"sources": sources_hash(*sources), "torch": torch.__version__, **more}


@pytest.fixture
def deep_results() -> Callable[..., list[dict[str, Any]]]:
    """The lines of a file of results that were written under these sources, this torch and what else is given."""

    def read(name: str, sources: Sequence[Path], **more: Any) -> list[dict[str, Any]]:
        path, key = DEEP_RESULTS / f"{name}.jsonl", _key(sources, more)
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if key.items() <= line.items()]

    return read


@pytest.fixture
def green_once(
    request: pytest.FixtureRequest, deep_results: Callable[..., list[dict[str, Any]]]
) -> Callable[..., Callable[..., None]]:
    """Skips a deep test that was green before; what it gives for a check writes down how that was green now.

    Arguments are those of `deep_results`. A test that is not deep is never skipped, nor written down.
    """

    def begin(name: str, sources: Sequence[Path], **more: Any) -> Callable[..., None]:
        if request.node.get_closest_marker("deep") is None:
            return lambda **found: None
        if deep_results(name, sources, **more):
            pytest.skip(f"done before: see {name}.jsonl")
        key = _key(sources, more)

        def end(**found: Any) -> None:
            DEEP_RESULTS.mkdir(parents=True, exist_ok=True)
            with (DEEP_RESULTS / f"{name}.jsonl").open("a") as file:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                file.write(json.dumps({**key, **found, "at": at}) + "\n")

        return end

    return begin


@pytest.fixture(autouse=True)
def _import_path_as_before() -> Iterator[None]:
    """The command line looks for backends in the working directory, for as long as its process lives."""
    before = list(sys.path)
    yield
    sys.path[:] = before
