"""Suite, case and backend of a collected test."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

_SUITES = Path(__file__).resolve().parents[1] / "suites"


@dataclass(frozen=True, slots=True)
class CaseName:
    """Which case a test is: the same `case` for every backend."""

    suite: str
    case: str
    backend: str


def case_name(item: pytest.Item, backends: tuple[str, ...]) -> CaseName:
    """Name a test.

    ``crf/test_time.py::test_time[unfold-pac_crf_32]`` is the case ``test_time.py::test_time[pac_crf_32]`` of the
    suite ``crf`` and the backend ``unfold``. A test without the fixture `backend` belongs to the first backend
    that was asked for.

    Args:
        item: The test.
        backends: The backends asked for.
    """
    folder = _suite_folder(item.path)
    name = f"{item.path.relative_to(folder).as_posix()}::{item.nodeid.partition('::')[2]}"
    callspec = getattr(item, "callspec", None)
    backend = callspec.params.get("backend") if callspec is not None else None
    if not isinstance(backend, str) or backend not in backends:
        return CaseName(folder.name, name, backends[0])
    stem, _, identifier = name.removesuffix("]").partition("[")
    rest = without(identifier, backend)
    return CaseName(folder.name, f"{stem}[{rest}]" if rest else stem, backend)


def without(identifier: str, backend: str) -> str:
    """A test's id (parts joined by hyphens) with the backend's part taken out."""
    return re.sub(rf"(^|-){re.escape(backend)}(-|$)", lambda m: "-" if all(m.groups()) else "", identifier, count=1)


def _suite_folder(path: Path) -> Path:
    for suites in (_SUITES, _SUITES.resolve()):
        if path.is_relative_to(suites) and path.parent != suites:
            return suites / path.relative_to(suites).parts[0]
    return path.parent
