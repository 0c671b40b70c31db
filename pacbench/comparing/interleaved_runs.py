"""Two runs measured in turns, A B A B, in the folders `base` and `new` of one folder."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pacbench.records import RunSettings, read_one
from pacbench.running.coordinator import Coordinator, run_interleaved

from .sides import Side, SideError

NAMES = ("base", "new")
_ASKED = ("suites", "backends", "methods", "profile", "rounds", "data_root", "cases", "allocator", "revision")


@dataclass(frozen=True)
class Code:
    """What one side measures: the interpreter whose packages are used, and the commit they were built from."""

    python: str = sys.executable
    revision: str | None = None


def measure_in_turns(
    folder: Path,
    settings: RunSettings,
    codes: Sequence[Code],
    console: Console,
    *,
    targets: Mapping[str, str] | None = None,
) -> tuple[Side, Side] | None:
    """Measure BASE and NEW in turns; take it up again where the folder holds them half done.

    Args:
        folder: Where to.
        settings: What is asked of both.
        codes: BASE and NEW.
        console: Where progress goes.
        targets: Paths of suites that are not subpackages of `pacbench.suites`.

    Returns:
        Both sides; None after Ctrl-C.

    Raises:
        SideError: the folder holds runs that were asked for something else.
        RunError, UnknownNameError: as `pacbench.running.coordinator.Coordinator.run`.
        RecordError: a `run.json` cannot be read.
    """
    asked = [settings.model_copy(update={"revision": code.revision}) for code in codes]
    before = {name: _settings(folder / name) for name in NAMES}
    marks = [found.interleaved for found in before.values() if found is not None]
    mark = next((found for found in marks if found), uuid.uuid4().hex)
    coordinators = []
    for name, code, wanted in zip(NAMES, codes, asked, strict=True):
        found = before[name]
        if found is not None:
            _expect_same(folder / name, found, wanted)
        coordinators.append(
            Coordinator(
                folder / name, found or wanted.model_copy(update={"interleaved": mark}), console,
                resume=found is not None, measure_roof=False, targets=targets or {}, python=code.python,
                label=f"{name.upper()} ",
            )
        )  # fmt: skip
    runs = run_interleaved(coordinators)
    if runs is None:
        return None
    base, new = (Side(str(run.folder), run, None) for run in runs)
    return base, new


def _settings(folder: Path) -> RunSettings | None:
    path = folder / "run.json"
    return read_one(path, RunSettings) if path.exists() else None


def _expect_same(folder: Path, found: RunSettings, wanted: RunSettings) -> None:
    for name in _ASKED:
        before, now = getattr(found, name), getattr(wanted, name)
        if before != now:
            raise SideError(f"{folder}: holds a run of {name} {before}, and {now} is asked for; choose another folder")
