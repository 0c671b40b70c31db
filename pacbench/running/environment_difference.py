"""In which respects two environments are not the same to a result."""

from __future__ import annotations

from typing import Any

from pacbench.records import Environment

from .job import ESSENTIALS


def environment_differences(before: Environment, after: Environment) -> list[str]:
    """One phrase for each of `job.ESSENTIALS` that differs, as ``threads 2 / 4``; empty where none does."""
    found = []
    for name in ESSENTIALS:
        found += difference(name, getattr(before, name), getattr(after, name))
    return found


def difference(name: str, before: Any, after: Any) -> list[str]:
    """How one thing differs; of mappings, one phrase for each entry that does."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        names = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        return [f"{key} {before.get(key, 'not installed')} / {after.get(key, 'not installed')}" for key in names]
    return [f"{name.replace('_', ' ')} {_said(before)} / {_said(after)}"]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
