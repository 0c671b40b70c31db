"""The two sides of a comparison: a run folder, or one backend of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pacbench.frame import Run, read_run


class SideError(ValueError):
    """A side that does not name a run, or two sides that cannot be compared; the message is one line."""


@dataclass(frozen=True)
class Side:
    """BASE or NEW.

    Attributes:
        text: As it was asked for.
        run: The run that it names.
        backend: The one backend that is meant; None for all of the run's.
    """

    text: str
    run: Run
    backend: str | None

    @property
    def label(self) -> str:
        """What every table calls it: folder, backend, revision."""
        said = [self.text]
        settings = self.run.settings
        if settings is not None and settings.revision:
            said.append(f"revision {settings.revision}")
        elif settings is not None:
            said.append(f"started {settings.started}")
        return ", ".join(said)

    def rows(self) -> pd.DataFrame:
        """Rows of the run's frame that belong to this side, without the gate's own."""
        frame = self.run.frame
        kept = ~frame["gate"].astype(bool)
        if self.backend is not None:
            kept &= frame["backend"] == self.backend
        return frame[kept]


def read_sides(base: str, new: str) -> tuple[Side, Side]:
    """Read ``RUN`` or ``RUN:backend`` for both sides; a side that names no backend takes the other's.

    Raises:
        SideError: a side names no run folder or a backend that the run has not, or both are the same.
        RecordError: a folder is not that of a run.
    """
    found = [_split(text, name) for text, name in ((base, "BASE"), (new, "NEW"))]
    named = next((backend for _, backend in found if backend is not None), None)
    sides = []
    for (folder, backend), text in zip(found, (base, new), strict=True):
        run = read_run(folder)
        known = _backends(run)
        wanted = backend or named
        if wanted is not None and wanted not in known:
            raise SideError(f"{text}: got backend {wanted!r}, expected one of {', '.join(known)}")
        sides.append(Side(text, run, wanted))
    before, after = sides
    if before.run.folder.resolve() == after.run.folder.resolve() and before.backend == after.backend:
        raise SideError(f"got {base} and {new}, which are the same; expected two runs or two backends of one run")
    return before, after


def are_paired(base: Side, new: Side) -> bool:
    """Whether round n of both sides was measured in turns: in one run, or in two that were interleaved."""
    if base.run.folder.resolve() == new.run.folder.resolve():
        return True
    marks = [side.run.settings.interleaved if side.run.settings else None for side in (base, new)]
    return marks[0] is not None and marks[0] == marks[1]


def _split(text: str, name: str) -> tuple[Path, str | None]:
    if Path(text).is_dir():
        return Path(text), None
    places = [place for place, sign in enumerate(text) if sign == ":"]
    for place in places:
        if Path(text[:place]).is_dir() and text[place + 1 :]:
            return Path(text[:place]), text[place + 1 :]
    raise SideError(f"{name}: got {text}, expected the folder of a run, or RUN:backend")


def _backends(run: Run) -> list[str]:
    asked: Iterable[str] = run.settings.backends if run.settings else []
    return list(dict.fromkeys([*asked, *(name for name in run.frame["backend"] if isinstance(name, str))]))
