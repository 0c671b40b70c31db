"""What of the committed resource budgets of compiled GPU kernels changed between two revisions: known without a GPU."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pacbench.resources import ResourceRecord, compare

from .installed_budgets import installed_budgets


class ResourceChange(BaseModel):
    """One kernel that takes something else than before.

    Attributes:
        backend: Whose kernel it is.
        kernel: Target, name and variant.
        text: What changed, such as ``registers 130, BASE 128``.
        worse: Whether NEW takes more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    kernel: str
    text: str
    worse: bool


def resource_changes(base: str, new: str) -> list[ResourceChange]:
    """Compare the budgets of two installations, the worse first; kernels of one side only are listed and are not worse.

    Args:
        base: The interpreter of BASE.
        new: That of NEW.

    Raises:
        RunError: an installation does not answer.
        BudgetError: a budget cannot be read.
    """
    before, after = _records(base), _records(new)
    found: list[ResourceChange] = []
    for backend in dict.fromkeys([*before, *after]):
        old, young = before.get(backend, {}), after.get(backend, {})
        common = [key for key in young if key in old]
        for one in compare([young[key] for key in common], [old[key] for key in common]):
            text = one.text.replace(", budget ", ", BASE ")
            found.append(ResourceChange(backend=backend, kernel=one.kernel, text=text, worse=one.worse))
        for name, mine, others in (("BASE", old, young), ("NEW", young, old)):
            found += [
                ResourceChange(backend=backend, kernel=record.name, text=f"only {name} has it", worse=False)
                for key, record in mine.items()
                if key not in others
            ]
    return sorted(found, key=lambda change: not change.worse)


def _records(python: str) -> dict[str, dict[tuple[str, str, str], ResourceRecord]]:
    return {name: {record.key: record for record in it.records} for name, it in installed_budgets(python).items()}
