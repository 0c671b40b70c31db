"""Digests of code and data, so that a result is never taken for one of another state."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

ROOMS = ("backends", "suites", "reports")
SUFFIXES = (".py", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".safetensors")
"""Of the files that results depend on: sources, and the weights that suites ship."""


@cache
def package_hash() -> str:
    """sha256 over pacbench's sources and shipped weights, the rooms among them, by their names within the package."""
    root = Path(__file__).resolve().parents[1]
    files = {name: path for name, path in _sources(root) if name.split("/")[0] not in ROOMS}
    for room in ROOMS:
        spec = find_spec(f"pacbench.{room}")
        for location in (spec.submodule_search_locations or []) if spec else []:
            files |= {f"{room}/{name}": path for name, path in _sources(Path(location))}
    return _digest(files)


def suite_hashes() -> dict[str, str]:
    """Digest of each suite's code, by name."""
    spec = find_spec("pacbench.suites")
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    suites = [path for folder in folders for path in sorted(folder.iterdir()) if (path / "__init__.py").is_file()]
    return {path.name: sources_hash(path) for path in suites}


def sources_hash(*paths: Path) -> str:
    """sha256 over the sources in folders, or over single files, by their names within each, in the order given."""
    files = {
        f"{number}/{name}": source
        for number, path in enumerate(paths)
        for name, source in (_sources(path) if path.is_dir() else [(path.name, path)])
    }
    return _digest(files)


def backend_hash(name: str) -> str:
    """Digest of a backend's code where that lies outside pacbench; its bare name where it does not.

    Args:
        name: A registered name or ``module:Class``.
    """
    if ":" in name:
        module = name.partition(":")[0]
    else:
        module = next((entry.module for entry in entry_points(group="pacbench.backends", name=name)), "")
    top = module.partition(".")[0]
    spec = find_spec(top) if top not in ("", "pacbench") else None
    if spec is None:
        return name
    if spec.submodule_search_locations:
        folders = [Path(location) for location in spec.submodule_search_locations]
        return _digest({f"{top}/{file}": path for folder in folders for file, path in _sources(folder)})
    return _digest({top: Path(spec.origin)}) if spec.origin else name


def data_hash(root: Path) -> str:
    """Digest of a data folder's listing: names, sizes and times of change, not contents."""
    parts = [
        f"{path.relative_to(root)} {stat.st_size} {stat.st_mtime_ns}" for path in _files(root) if (stat := path.stat())
    ]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def _sources(root: Path) -> Iterator[tuple[str, Path]]:
    return ((path.relative_to(root).as_posix(), path) for path in _files(root) if path.suffix in SUFFIXES)


def _files(root: Path) -> list[Path]:
    found = []
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in subfolders if name != "__pycache__" and not name.startswith(".")]
        found += [path for name in names if (path := Path(folder, name)).is_file()]
    return sorted(found)


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
