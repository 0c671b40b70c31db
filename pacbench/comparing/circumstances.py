"""What must be alike on both sides before their times may be compared."""

from __future__ import annotations

from pacbench.running.environment_difference import difference, environment_differences

from .sides import Side

OWN = "the run's own machine"
"""What a machine is called that no executor named."""


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
        found += environment_differences(before, after)
    if base.run.settings is not None and new.run.settings is not None:
        found += difference("profile", base.run.settings.profile, new.run.settings.profile)
    return found


def changed_suites(base: Side, new: Side) -> list[str]:
    """Suites whose code is known to differ: a case of the same name may then do other work."""
    before, after = base.run.environment, new.run.environment
    if before is None or after is None:
        return []
    known = before.suites.keys() & after.suites.keys()
    return sorted(name for name in known if before.suites[name] != after.suites[name])


def several_machines(base: Side, new: Side, *, paired: bool) -> list[str]:
    """A remark on runs that an executor spread over machines, though of one kind; none where there was only one."""
    machines = [list(dict.fromkeys(side.rows()["machine"].map(lambda name: name or OWN))) for side in (base, new)]
    if len({*machines[0], *machines[1]}) < 2:
        return []
    how = (
        "Rounds make a pair only where both were measured on the same one."
        if paired
        else "What differs between these counts as a difference."
    )
    return [f"BASE was measured on {', '.join(machines[0])}; NEW on {', '.join(machines[1])}. {how}"]
