"""`pacbench compare --git`: two commits, built and measured in turns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from pacbench.comparing.calibration import calibration_remarks
from pacbench.comparing.comparison import compare
from pacbench.comparing.interleaved_runs import Code, measure_in_turns
from pacbench.comparing.resource_changes import resource_changes
from pacbench.comparing.revisions import BuildError, RevisionError, build, resolve
from pacbench.comparing.sides import Side, SideError
from pacbench.records import RunSettings
from pacbench.running.exit_code import INTERRUPTED
from pacbench.running.probes import RunError

from .checks import WrongUse
from .compare import tell


def compare_revisions(
    base: str, new: str, settings: RunSettings, folder: Path, *, strict: bool, repository: Path | None = None
) -> int:
    """Build two commits, measure them in turns, print and write the comparison.

    Args:
        base: The baseline: a commit of the repository.
        new: As `base`, what is judged.
        settings: What is measured on both.
        folder: Where the builds, both runs and the comparison go; one that holds them half done is taken up again.
        strict: Whether an ambiguous case gives exit code 3.
        repository: A folder in the repository; None for the working directory.

    Raises:
        WrongUse: no repository, no such commit, a dirty tree, or a folder that holds something else.
        RunError: a revision cannot be built.
    """
    console = Console(stderr=True)
    try:
        root, revisions = resolve(repository or Path.cwd(), (base, new))
        codes = []
        with _no_python_path():
            for name, revision in zip(("BASE", "NEW"), revisions, strict=True):
                console.print(f"{name}: building {revision.label}", highlight=False, markup=False, soft_wrap=True)
                python = build(root, revision, folder / "builds" / revision.commit[:12])
                codes.append(Code(python, revision.label))
            sides = measure_in_turns(folder, settings, codes, console)
            resources = resource_changes(codes[0].python, codes[1].python) if sides is not None else []
        if sides is None:
            text = f"interrupted; what was measured is kept in {folder}: the same command with --output goes on"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
            return INTERRUPTED
        comparison = compare(*sides)
    except (RevisionError, SideError) as error:
        raise WrongUse(str(error)) from error
    except BuildError as error:
        raise RunError(str(error)) from error
    remarks = [*comparison.remarks, *_same_package(*sides), *calibration_remarks(comparison, *sides)]
    whole = comparison.model_copy(update={"remarks": remarks, "resources": resources})
    return tell(whole, folder, strict=strict)


@contextmanager
def _no_python_path() -> Iterator[None]:
    """Without PYTHONPATH, which would put the same code before that of both commits."""
    before = os.environ.pop("PYTHONPATH", None)
    try:
        yield
    finally:
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _same_package(base: Side, new: Side) -> list[str]:
    hashes = [side.run.environment.package_hash for side in (base, new) if side.run.environment is not None]
    if len(hashes) < 2 or hashes[0] != hashes[1]:
        return []
    return [f"Both commits run the same pacbench (package hash {hashes[0][:12]})."]
