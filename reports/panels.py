"""Example pictures of a run, taken into the page: only real PNG files from inside the run folder."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from pacbench.frame import Run

from .measurements import rows_of, text_or_none, told_frame

LARGEST_BYTES = 4 * 2**20
LARGEST_TOTAL_BYTES = 40 * 2**20
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Panel:
    """A picture: a data URI, and the words that go with it."""

    uri: str
    name: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class Panels:
    """The pictures that are shown, and a sentence for each kind that is not."""

    shown: tuple[Panel, ...]
    left_out: tuple[str, ...]


def collect(run: Run) -> Panels:
    """The panels of every case that passed on a green gate, each file once."""
    told = rows_of(told_frame(run))
    recorded = {name for value in run.frame["panel"].tolist() if (name := text_or_none(value))}
    rows = {name: row for row in reversed(told) if (name := text_or_none(row["panel"]))}
    shown: list[Panel] = []
    refused: list[str] = []
    too_large = total = 0
    for name, row in reversed(rows.items()):
        path = _inside(run.folder, name)
        if path is None:
            refused.append(f"{name}: not a file inside the run folder")
        elif (size := path.stat().st_size) > LARGEST_BYTES or total + size > LARGEST_TOTAL_BYTES:
            too_large += 1
        else:
            found = _read(path)
            if isinstance(found, str):
                refused.append(f"{name}: {found}")
            else:
                total += size
                width, height = int.from_bytes(found[16:20], "big"), int.from_bytes(found[20:24], "big")
                uri = f"data:image/png;base64,{base64.b64encode(found).decode('ascii')}"
                shown.append(Panel(uri, name, _caption(row), width, height))
    left_out = [f"Left out: {reason}." for reason in refused]
    if too_large:
        left_out.append(
            f"{_pictures(too_large)} left out for size: the page takes {LARGEST_BYTES // 2**20} MB a picture and "
            f"{LARGEST_TOTAL_BYTES // 2**20} MB in all."
        )
    if hidden := len(recorded - set(rows)):
        left_out.append(f"{_pictures(hidden)} left out because the gate is not green or the case did not pass.")
    return Panels(tuple(shown), tuple(left_out))


def _inside(folder: Path, name: str) -> Path | None:
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError):
        return None


def _read(path: Path) -> bytes | str:
    """The bytes of a PNG file, or why it is not one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if len(data) < 33 or not data.startswith(_PNG_MAGIC) or data[12:16] != b"IHDR":
        return "not a PNG file"
    return data


def _caption(row: dict[str, object]) -> str:
    said = [text_or_none(row.get(name)) for name in ("dataset", "method", "backend")]
    return ", ".join(text for text in said if text) or str(row["case"])


def _pictures(count: int) -> str:
    return f"{count} picture{' was' if count == 1 else 's were'}"
