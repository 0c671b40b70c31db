"""What must be alike on both sides before their times may be compared."""

from __future__ import annotations

from typing import Any

from pacbench.running.job import ESSENTIALS

from .sides import Side


def differences(base: Side, new: Side) -> list[str]:
    """What differs between the circumstances of two runs, one phrase each; empty if they may be compared.

    The code under test is meant to differ: package, revision and backend are no circumstances.
    """
    if base.run.folder.resolve() == new.run.folder.resolve():
        return []
    found = []
    environments = base.run.environment, new.run.environment
    for side, environment, name in zip((base, new), environments, ("BASE", "NEW"), strict=True):
        if environment is None:
            found.append(f"{name} ({side.text}) does not say where it was made")
    before, after = environments
    if before is not None and after is not None:
        for name in ESSENTIALS:
            found += _difference(name, getattr(before, name), getattr(after, name))
    if base.run.settings is not None and new.run.settings is not None:
        found += _difference("profile", base.run.settings.profile, new.run.settings.profile)
    return found


def changed_suites(base: Side, new: Side) -> list[str]:
    """Suites whose code is known to differ: a case of the same name may then do other work."""
    before, after = base.run.environment, new.run.environment
    if before is None or after is None:
        return []
    known = before.suites.keys() & after.suites.keys()
    return sorted(name for name in known if before.suites[name] != after.suites[name])


def _difference(name: str, before: Any, after: Any) -> list[str]:
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
