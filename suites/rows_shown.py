"""Which rows a suite shows: those that need weights only where there are such, or where they are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from pacbench.data.data_error import DataError
from pacbench.models.network_plan import NetworkPlan, read_plan
from pacbench.running.suite_options import split_names
from pacbench.training.origins import with_origins


class _Row(Protocol):
    @property
    def name(self) -> str:
        """As it is asked for."""


Row = TypeVar("Row", bound=_Row)


def rows_shown(
    metafunc: pytest.Metafunc, rows: Sequence[Row], for_weights: Callable[[Row], Callable[[NetworkPlan], bool] | None]
) -> list[Row]:
    """The rows without those for weights that nobody gave: a newcomer would see rows skipped that he did not ask for.

    Args:
        metafunc: Of the test that has the rows.
        rows: All that the suite has.
        for_weights: Of a row that is for weights only: whether a plan is that of such weights. None of any other row.

    Returns:
        Those that need no weights, that a given file is for, or that are named; all where names are to be listed.
    """
    options = metafunc.config.option
    if options.pacbench_list_methods is not None:
        return list(rows)
    named = split_names(options.pacbench_methods)
    plans = _plans(options.pacbench_weights or ())
    shown = []
    for row in rows:
        fits = for_weights(row)
        if fits is None or row.name in named or any(fits(plan) for plan in plans):
            shown.append(row)
    return shown


def _plans(weights: Sequence[Path]) -> list[NetworkPlan]:
    """Of the files that carry one; a file that cannot be read is told by the rows that do without one."""
    plans: dict[Path, NetworkPlan] = {}
    for path in weights:
        try:
            plan = read_plan(path)
        except DataError:
            continue
        if plan is not None:
            plans[path] = plan
    return list(with_origins(plans).values())
