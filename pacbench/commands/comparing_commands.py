"""The commands that compare: options and help; what they do is in modules of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import checks
from .measurement_options import Measurement, with_measurement


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


@with_measurement
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
    *,
    measurement: Measurement,
) -> int:
    """Say of each case whether NEW is faster, the same, slower or ambiguous; exit 1 if one is slower."""
    if not git:
        given = measurement.given()
        if given:
            raise checks.WrongUse(f"got {', '.join(given)}, expected --git beside them: stored runs are not measured")
        from .compare import compare

        return compare(base, new, across_machines=across_machines, strict=strict, output=output)
    if across_machines:
        raise checks.WrongUse("got --git and --across-machines, expected one of them")
    from .compare_revisions import compare_revisions

    return compare_revisions(base, new, measurement.settings(), _folder(output), strict=strict)


@with_measurement
def _calibrate(
    runs: Annotated[int, typer.Option(min=1, metavar="N", help="Independent A/A runs.")] = 3,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the runs here; goes on with those that are there.")
    ] = None,
    *,
    measurement: Measurement,
) -> int:
    """Measure a backend against itself: how often verdicts are wrong on this machine, and which slowdowns are found."""
    from .calibrate import run_calibration

    return run_calibration(measurement.settings(), runs, _folder(output))


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
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="A regression counts if it began in one of the N newest runs, on whatever machine; that of a kernel, "
            "in one of the N newest with a budget of its backend.",
        ),
    ] = 10,
) -> int:
    """Tell how times moved from run to run: trend plots, and lasting changes of level with their commits."""
    from .history import history

    return history(folder, add, commit, fail_on_regression=fail_on_regression, recent=recent)


def _folder(output: Path | None) -> Path:
    """A new folder, or one that is taken up again."""
    return output.absolute() if output is not None else checks.new_run_folder(None)
