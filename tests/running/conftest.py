"""Fake backends and fake suites: jobs that take a second and never import torch."""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from pacbench.frame import Run
from pacbench.records import Environment, JobRecord, RunSettings, read_lines
from pacbench.running import coordinator as module
from pacbench.running import dispatch, turn
from pacbench.running.coordinator import Coordinator

sys.path.insert(0, str(Path(__file__).parent))  # for the modules here that are no tests

BACKENDS = """
from pacbench.backend import Backend
from pacbench.capabilities import Capabilities, Reason

class Good(Backend):
    name = "good"
    summary = "does nothing"
    capabilities = Capabilities(devices=("cpu",), dtypes=("float32",))

class Other(Good):
    name = "other"

class Absent(Good):
    name = "absent"
    def unavailable_reasons(self):
        return [Reason("no GPU", "buy one"), Reason("no compiler", "install g++")]
"""

WORK = """
import os, pathlib, signal, time
import pytest

class Method:
    def __init__(self, name):
        self.name = name

@pytest.mark.timing
@pytest.mark.parametrize("method", [Method("cubic"), Method("linear")], ids=lambda method: method.name)
def test_time(backend, method, measure, record):
    record.describe(method=method.name)
    measure(lambda: None)

@pytest.mark.quality
def test_quality(backend, record):
    record.metric("mIoU", 0.5)
"""

GATE = """
import pytest
pytestmark = pytest.mark.gate

@pytest.mark.smoke
@pytest.mark.parametrize("number", [1, 2])
def test_right(backend, number):
    pass

def test_long(backend):
    pass
"""


@pytest.fixture
def backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of a module on the path of this process and of jobs, with the backends Good, Other and Absent."""
    folder = tmp_path / "plug-ins"
    folder.mkdir()
    (folder / "fake_backends.py").write_text(BACKENDS)
    path = str(Path(sys.modules["pacbench"].__path__[0]).parent)
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{path}")
    monkeypatch.syspath_prepend(str(folder))
    yield "fake_backends"
    sys.modules.pop("fake_backends", None)
    from pacbench import registry

    registry.forget()


@pytest.fixture
def write_suite(tmp_path: Path) -> Callable[..., str]:
    """Writes a suite of one module and returns its path."""

    def write(name: str, source: str = GATE) -> str:
        folder = tmp_path / "suites" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"test_{name}.py").write_text(textwrap.dedent(source))
        return str(folder)

    return write


@pytest.fixture
def environment() -> Environment:
    """An environment, made up."""
    return Environment(
        pacbench="0", package_hash="a", python="3", platform="p", processor="x", cores=1, memory_bytes=1, threads=1,
        torch="2", cpu_capability="DEFAULT", allocator="glibc",
    )  # fmt: skip


class Runner:
    """Runs a coordinator over fake suites, with a made-up environment."""

    def __init__(self, folder: Path, backends: str, targets: dict[str, str]) -> None:
        self.folder = folder
        self.backends = backends
        self.targets = targets
        self.output = io.StringIO()

    def settings(self, *backends: str, **rest: object) -> RunSettings:
        given = {"suites": ["work"], "profile": "quick", "rounds": 1, "command": "c", "started": "now"} | rest
        return RunSettings(backends=[f"{self.backends}:{name}" for name in backends or ("Good",)], **given)

    def run(self, settings: RunSettings | None = None, **rest: object) -> tuple[Run, int]:
        console = Console(file=self.output, width=200)
        settings = settings or self.settings()
        run, code = Coordinator(self.folder, settings, console, targets=self.targets, **rest).run()  # type: ignore[arg-type]
        assert run is not None
        return run, code

    def outcomes(self, run: Run) -> dict[str, tuple[str, str | None]]:
        """(outcome, reason) of each row of the suite `work`, by backend and case, or job where it has no case."""
        rows = run.frame[run.frame["suite"] == "work"].to_dict("records")
        return {
            f"{row['backend'].partition(':')[2]} {row['case'] or row['job']}": (row["outcome"], row["reason"])
            for row in rows
        }

    def jobs(self) -> list[JobRecord]:
        return [line for line in read_lines(self.folder / "jobs.jsonl") if isinstance(line, JobRecord)]


@pytest.fixture
def runner(
    tmp_path: Path,
    backends: str,
    write_suite: Callable[..., str],
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> Runner:
    for place in (module, dispatch, turn):
        monkeypatch.setattr(place, "describe_environment", lambda **_: environment)
    turn._described.cache_clear()
    targets = {"gradients": write_suite("gradients"), "work": write_suite("work", WORK)}
    return Runner(tmp_path / "out", backends, targets)


@pytest.fixture(scope="module")
def _runs() -> dict[str, Run]:
    """Runs that several tests look at."""
    return {}


@pytest.fixture
def local(runner: Runner, _runs: dict[str, Run]) -> Run:
    """A good run of two backends and two rounds by the coordinator itself; the runner's folder is another then."""
    if "local" not in _runs:
        _runs["local"], code = runner.run(runner.settings("Good", "Other", rounds=2))
        assert code == 0, runner.output.getvalue()
    runner.folder = runner.folder.with_name("by an executor")
    return _runs["local"]
