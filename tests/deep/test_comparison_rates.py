"""What verdicts are worth on a real machine: A/A runs, and slowdowns of known size.

Each run is a test that writes its comparisons down as it ends, so that the whole resumes where it was stopped; the last
test counts what has been written. An A/A comparison is `native` against itself; a planted one is `native` against the
same backend slowed down by a spin, forwards, on operators whose time is all the backend's. Wants one process
(`pytest -n 0`).
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pacbench import comparing, compiled, get_backend, measuring, running
from pacbench.backends import native
from pacbench.comparing.comparison import Comparison, compare
from pacbench.comparing.interleaved_runs import Code, measure_in_turns
from pacbench.comparing.sides import Side
from pacbench.measuring.processor import processor_name
from pacbench.records import RunSettings
from pacbench.running.coordinator import Coordinator, run_interleaved
from pacbench.suites import operators

SOURCES = [Path(package.__path__[0]) for package in (comparing, measuring, running, operators, native, compiled)]
"""What the figures depend on: how is measured and compared, and what is timed. And on the machine."""

ROUNDS = 10
RUNS = {"A/A": 10, "planted": 7}
"""Runs of each kind: 10 of 20 cases, 7 of 6 cases, each with both slowdowns.

With 10 rounds one of up to 25 cases can be significant after Holm's correction, so that a false alarm is possible.
"""

THREADS = 1

LEAST = {"A/A": 200, "10 %": 40, "5 %": 40}
"""Comparisons of each kind that the figures take."""

SLOWED = {"10 %": "1.10", "5 %": "1.05"}
_BACKEND = "slowed_backends:Slowed"
_AA_CASES = "(test_time or test_model) and not W3 and not 16_64"
_PLANTED_CASES = "test_time and not backward and not W3"
"""W3 spends time in torch's softmax, which nobody slows down."""


def _settings(backend: str, cases: str | None) -> RunSettings:
    return RunSettings(
        suites=["operators"], backends=[backend], profile="quick", rounds=ROUNDS, cases=cases, allocator="kept",
        timeout_s=600.0, command="tests/deep/test_comparison_rates.py", started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )  # fmt: skip


def _machine() -> dict[str, Any]:
    return {"processor": processor_name(), "rounds": ROUNDS, "threads": THREADS}


def _compared(kind: str, folder: Path) -> dict[str, Comparison]:
    """Measure once; the comparisons by what they are of."""
    console = Console(file=io.StringIO())
    if kind == "A/A":
        sides = measure_in_turns(folder, _settings("native", _AA_CASES), (Code(), Code()), console)
        assert sides is not None
        return {kind: compare(*sides)}
    settings = _settings(_BACKEND, _PLANTED_CASES).model_copy(update={"interleaved": uuid.uuid4().hex})
    runs = run_interleaved([
        Coordinator(
            folder / name, settings, console, measure_roof=False, python=_python(folder / name, slowdown), label=name
        )
        for name, slowdown in {"base": "1", **SLOWED}.items()
    ])  # fmt: skip
    assert runs is not None, "interrupted"
    base, *slower = (Side(str(run.folder), run, None) for run in runs)
    return {name: compare(base, side) for name, side in zip(SLOWED, slower, strict=True)}


def _python(folder: Path, slowdown: str) -> str:
    """This interpreter, which has the backend slowed down."""
    folder.mkdir(parents=True)
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexport SLOWDOWN={slowdown}\nexec {shlex.quote(sys.executable)} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.deep
@pytest.mark.parametrize(("kind", "number"), [(kind, number) for kind, runs in RUNS.items() for number in range(runs)])
def test_run(
    kind: str,
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    green_once: Callable[..., Callable[..., None]],
) -> None:
    if getattr(request.config, "workerinput", {}).get("workercount", 1) > 1:
        pytest.skip("measures, so alone on the machine: pytest -n 0")
    reasons = get_backend("native").unavailable_reasons()
    if reasons:
        pytest.skip("; ".join(map(str, reasons)))
    shares = SLOWED if kind == "planted" else [kind]
    writing = {share: green_once("comparison_rates", SOURCES, **_machine(), kind=share, run=number) for share in shares}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("OMP_NUM_THREADS", str(THREADS))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for share, comparison in _compared(kind, tmp_path / "run").items():
        cases = {
            case.case: {"verdict": case.verdict, "ratio": case.ratio, "low": case.low, "high": case.high, "p": case.p}
            for case in comparison.cases
            if case.verdict is not None
        }
        assert len(cases) <= 25, "nothing could be called slower"
        assert cases, [case.reason for case in comparison.cases]
        writing[share](load=os.getloadavg()[0], cases=cases)


@pytest.mark.deep
@pytest.mark.parametrize("kind", LEAST)
def test_rates(kind: str, deep_results: Callable[..., list[dict[str, Any]]]) -> None:
    """How often each verdict was given in the runs of a kind."""
    lines = deep_results("comparison_rates", SOURCES, **_machine(), kind=kind)
    count = Counter(case["verdict"] for line in lines for case in line["cases"].values())
    total = sum(count.values())
    if total < LEAST[kind]:
        pytest.skip(f"{total} comparisons of {LEAST[kind]}: {dict(count)}")
    if kind == "A/A":
        assert count["slower"] + count["faster"] <= 0.02 * total
        assert count["same"] >= 0.7 * total
    elif kind == "10 %":
        assert count["slower"] >= 0.95 * total
    else:
        assert count["slower"] >= 0.5 * total
        assert count["same"] + count["faster"] <= 0.02 * total
