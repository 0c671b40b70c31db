"""The commands that compare: options and help; what they do is in modules of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pacbench.running.allocator import KEPT
from pacbench.running.suite_names import OPERATOR_SUITE, list_suites

from . import checks

Suites = Annotated[
    list[str] | None, typer.Option("--suite", metavar="A[,B]", help=f"Suites to measure; {OPERATOR_SUITE}.")
]
Backend = Annotated[
    str | None, typer.Option("--backend", "-b", metavar="NAME", help="The backend; the best for this machine.")
]
Cases = Annotated[list[str] | None, typer.Option(metavar="A[,B]", help="Only cases whose name holds one of these.")]
Profile = Annotated[str | None, typer.Option(metavar="NAME", help="quick, standard or full; standard.")]
Rounds = Annotated[int | None, typer.Option(min=5, metavar="N", help="Rounds of each side, a process each; 15.")]
Timeout = Annotated[float | None, typer.Option(min=1, metavar="S", help="Seconds that one job may take; 3600.")]

_ROUNDS = 15


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        "compare",
        epilog="Example: pacbench compare base-run new-run --output comparison; two backends of one run: pacbench "
        "compare my-run:unfold my-run:native; two commits: pacbench compare --git main HEAD --cases W1",
    )(_compare)
    app.command(
        "calibrate", epilog="Example: pacbench calibrate --runs 3 --profile quick --cases W1,W2 --output my-machine"
    )(_calibrate)
    app.command("history", epilog="Example: pacbench history my-history --add my-run --fail-on-regression")(_history)


def _compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The baseline: RUN or RUN:backend; with --git a commit.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="What is judged: as BASE.")],
    git: Annotated[
        bool,
        typer.Option(
            "--git",
            help="Build two commits of the repository here, in environments of their own, and measure them in turns.",
        ),
    ] = False,
    across_machines: Annotated[
        bool,
        typer.Option(
            "--across-machines", help="Compare ratios to each run's own reference case: machines may then differ."
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 where a case is ambiguous.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write Markdown, CSV, JSON and JUnit XML here.")
    ] = None,
    suites: Suites = None,
    backend: Backend = None,
    cases: Cases = None,
    profile: Profile = None,
    rounds: Rounds = None,
    timeout: Timeout = None,
) -> int:
    """Say of each case whether NEW is faster, the same, slower or ambiguous; exit 1 if one is slower."""
    measured = {"suite": suites, "backend": backend, "cases": cases, "profile": profile, "rounds": rounds,
                "timeout": timeout}  # fmt: skip
    if not git:
        given = [f"--{name}" for name, value in measured.items() if value is not None]
        if given:
            raise checks.WrongUse(f"got {', '.join(given)}, expected --git beside them: stored runs are not measured")
        from .compare import compare

        return compare(base, new, across_machines=across_machines, strict=strict, output=output)
    if across_machines:
        raise checks.WrongUse("got --git and --across-machines, expected one of them")
    from .compare_revisions import compare_revisions

    settings = _settings(suites, backend, cases, profile, rounds, timeout)
    return compare_revisions(base, new, settings, _folder(output), strict=strict)


def _calibrate(
    runs: Annotated[int, typer.Option(min=1, metavar="N", help="Independent A/A runs.")] = 3,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the runs here; goes on with those that are there.")
    ] = None,
    suites: Suites = None,
    backend: Backend = None,
    cases: Cases = None,
    profile: Profile = None,
    rounds: Rounds = None,
    timeout: Timeout = None,
) -> int:
    """Measure a backend against itself: how often verdicts are wrong on this machine, and which slowdowns are found."""
    from .calibrate import run_calibration

    return run_calibration(_settings(suites, backend, cases, profile, rounds, timeout), runs, _folder(output))


def _history(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the history, one file a run.")],
    add: Annotated[Path | None, typer.Option(metavar="RUN", help="Add this run first.")] = None,
    commit: Annotated[
        str | None, typer.Option(metavar="REV", help="What the run measured; the commit that is checked out here.")
    ] = None,
    fail_on_regression: Annotated[
        bool,
        typer.Option(
            "--fail-on-regression",
            help="Exit 1 where a case has become slower for good, or failed, or a GPU kernel takes more by its budget.",
        ),
    ] = False,
    recent: Annotated[
        int, typer.Option(min=1, metavar="N", help="A regression counts if it began in one of the N newest runs.")
    ] = 10,
) -> int:
    """Tell how times moved from run to run: trend plots, and lasting changes of level with their commits."""
    from .history import history

    return history(folder, add, commit, fail_on_regression=fail_on_regression, recent=recent)


def _settings(
    suites: list[str] | None,
    backend: str | None,
    cases: list[str] | None,
    profile: str | None,
    rounds: int | None,
    timeout: float | None,
) -> Any:
    from .run import new_settings

    backends = checks.known_backends([backend] if backend else None)
    if len(backends) != 1:
        raise checks.WrongUse(f"--backend: got {', '.join(backends)}, expected one")
    return new_settings(
        checks.known_suites(suites, [OPERATOR_SUITE], [name for name in list_suites() if name != "gradients"]),
        backends, methods=None, profile=checks.known_profile(profile or "standard"), rounds=rounds or _ROUNDS,
        data_root=None, timeout_s=timeout or 3600, cases=checks.case_expression(cases), allocator=KEPT,
    )  # fmt: skip


def _folder(output: Path | None) -> Path:
    """A new folder, or one that is taken up again."""
    return output.absolute() if output is not None else checks.new_run_folder(None)
