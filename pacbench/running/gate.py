"""The correctness gate on its own: what `pacbench verify` runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from pacbench.frame import Run
from pacbench.records import RunSettings

from .coordinator import Coordinator


def run_gate(
    backends: Sequence[str],
    *,
    folder: Path,
    console: Console,
    full: bool = True,
    junit: Path | None = None,
    timeout_s: float | None = None,
    targets: Mapping[str, str] | None = None,
) -> tuple[Run | None, int]:
    """Run the gate of each backend, in one subprocess each.

    Args:
        backends: Registered names or ``module:Class``.
        folder: Run folder to write to.
        console: Where progress goes.
        full: Whether to run the whole suite; else its smoke subset.
        junit: JUnit file to write; with several backends, one each, their names before the suffix.
        timeout_s: Seconds that each gate may take.
        targets: Paths of suites that are not subpackages of `pacbench.suites`.

    Returns:
        The run and its exit code, as :meth:`Coordinator.run` gives them.
    """
    settings = RunSettings(
        suites=[],
        backends=list(backends),
        profile="quick",
        rounds=1,
        timeout_s=timeout_s,
        command="pacbench verify",
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
    coordinator = Coordinator(
        folder, settings, console, full_gate=full, junit=_junit_files(junit, backends), measure_roof=False,
        resume_command=None, targets=targets or {},
    )  # fmt: skip
    return coordinator.run()


def _junit_files(junit: Path | None, backends: Sequence[str]) -> dict[str, Path]:
    if junit is None:
        return {}
    junit = junit.absolute()
    if len(backends) == 1:
        return {backends[0]: junit}
    return {name: junit.with_name(f"{junit.stem}-{name.replace(':', '_')}{junit.suffix}") for name in backends}
