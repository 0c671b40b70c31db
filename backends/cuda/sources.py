"""The kernels' source: its files, its hash, and what a compiler is given.

Needs the standard library and `instances.py` only, of pacbench and beyond.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import instances

KERNELS = Path(__file__).absolute().parent / "kernels"
ENTRY = "entry.cu"
PART = "part.cu"
ALL_KERNELS = "pac.cuh"

_INCLUDE = re.compile(r'^#include "(?P<file>[\w.]+)"$', re.MULTILINE)
_PRAGMA = re.compile(r"^#pragma once\n", re.MULTILINE)


@dataclass(frozen=True)
class Unit:
    """What a compiler makes an object of.

    Attributes:
        name: Of the object.
        source: The file, CUDA C++.
        definitions: Macros, ``NAME=value``.
    """

    name: str
    source: Path
    definitions: tuple[str, ...]


def files() -> list[Path]:
    """All files of the source."""
    return sorted([*KERNELS.glob("*.cuh"), *KERNELS.glob("*.cu")])


def digest(*more: str) -> str:
    """16 hexadecimal digits that change with the source, the instances and whatever else is given."""
    hashed = hashlib.sha256()
    for file in files():
        hashed.update(f"{file.name}\n".encode() + file.read_bytes())
    hashed.update("\n".join([*instances.all_of(), *more]).encode())
    return hashed.hexdigest()[:16]


def units(folder: Path, parts: Iterable[str]) -> list[Unit]:
    """The units of a library with these parts (of `instances.PARTS`); writes the lists of instances into a folder."""
    made = []
    for part in parts:
        listed = folder / f"instances_{part}.inl"
        listed.write_text("".join(f"PACBENCH_KERNEL({name})\n" for name in instances.of_part(part)), encoding="utf-8")
        made.append(Unit(part, KERNELS / PART, (f"PACBENCH_PART={part}", f'PACBENCH_INSTANCES="{listed}"')))
    each = " ".join(f"PACBENCH_EACH_PART({part})" for part in parts)
    return [*made, Unit("entry", KERNELS / ENTRY, (f"PACBENCH_PARTS={each}",))]


def inlined() -> str:
    """All kernels as one text without includes of their own files, as NVRTC and its caches take it."""
    seen: set[str] = set()

    def text_of(file: str) -> str:
        if file in seen or not (KERNELS / file).is_file():
            return "" if file in seen else f'#include "{file}"'
        seen.add(file)
        text = _PRAGMA.sub("", (KERNELS / file).read_text(encoding="utf-8"))
        return _INCLUDE.sub(lambda match: text_of(match["file"]), text)

    return text_of(ALL_KERNELS)
