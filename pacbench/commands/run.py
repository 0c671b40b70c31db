"""`pacbench run` and `pacbench bench`: jobs, then the report."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from pacbench.errors import UnknownNameError
from pacbench.records import RunSettings
from pacbench.running.allocator import DEFAULT
from pacbench.running.coordinator import Coordinator, resumed_settings
from pacbench.running.executors import LOCAL, opened
from pacbench.running.probes import METHODS_LISTED_UNDER, list_methods
from pacbench.running.profiles import PROFILES
from pacbench.running.suite_names import OPERATOR_SUITE

from .checks import WrongUse, command_line
from .report import write_report

REFERENCE = "reference:"
"""Methods of the suite `operators` that are plain torch operators are called `reference:NAME`."""


def new_settings(
    suites: list[str],
    backends: list[str],
    *,
    methods: list[str] | None,
    profile: str,
    rounds: int | None,
    data_root: Path | None,
    timeout_s: float | None,
    cases: str | None = None,
    factors: list[int] | None = None,
    allocator: str = DEFAULT,
    weights: list[Path] | None = None,
    memory_limit_gb: float | None = None,
    save_predictions: bool = False,
) -> RunSettings:
    """Settings of a new run; `rounds` None takes the profile's number."""
    return RunSettings(
        suites=suites,
        backends=backends,
        methods=methods or None,
        profile=profile,
        rounds=rounds or PROFILES[profile].rounds,
        data_root=str(data_root) if data_root is not None else None,
        weights=[str(path) for path in weights or []],
        save_predictions=save_predictions,
        cases=cases,
        factors=factors or None,
        allocator=allocator,
        timeout_s=timeout_s,
        memory_limit_bytes=int(memory_limit_gb * 1e9) if memory_limit_gb is not None else None,
        command=command_line(),
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )


def start(folder: Path, settings: RunSettings, *, executor: str = LOCAL, scheduler: str | None = None) -> int:
    """Make a new run, then its report.

    Args:
        folder: Where to.
        settings: What is asked.
        executor: Who runs the jobs, as `pacbench.running.executors.opened` knows them.
        scheduler: Address of Dask's scheduler.
    """
    return _run(Coordinator(folder, settings, Console(stderr=True)), executor, scheduler)


def resume(folder: Path, *, executor: str = LOCAL, scheduler: str | None = None) -> int:
    """Take a run up again under its own settings, then write its report; arguments as :func:`start`."""
    if not (folder / "run.json").exists():
        raise WrongUse(f"--resume: got {folder}, expected the folder of a run (it has no run.json)")
    folder = folder.resolve()
    settings = resumed_settings(folder)
    return _run(Coordinator(folder, settings, Console(stderr=True), resume=True), executor, scheduler)


def operator_methods(asked: list[str], references: list[str]) -> list[str] | None:
    """Methods of the suite `operators`: those asked for (else all), and the plain torch operators named.

    Raises:
        UnknownNameError: the suite has no such reference.
    """
    if not references:
        return asked or None
    known = list_methods(OPERATOR_SUITE, METHODS_LISTED_UNDER, {})
    available = [name.removeprefix(REFERENCE) for name in known if name.startswith(REFERENCE)]
    for name in references:
        if name not in available:
            raise UnknownNameError("reference", name, available)
    mine = asked or [name for name in known if not name.startswith(REFERENCE)]
    return mine + [REFERENCE + name for name in references]


def _run(coordinator: Coordinator, executor: str, scheduler: str | None) -> int:
    with opened(executor, coordinator, scheduler=scheduler) as found:
        run, code = replace(coordinator, executor=found).run()
    if run is None:
        return code
    return max(code, write_report(run, coordinator.folder / "report"))
