"""A row of several trainings of one network, from several seeds: what the row says of each and of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from pacbench.running.case_recorder import CaseRecorder


def note_trainings(record: CaseRecorder, measure: str, paths: Sequence[Path], values: Sequence[float]) -> None:
    """Say whose weights a row has; of several trainings also how many, each one's value, the lowest and the highest.

    Args:
        record: Of the row.
        measure: What is measured of it; its spread over the trainings is `measure_seed_low` and `measure_seed_high`.
        paths: The weights of each training.
        values: What each one has.
    """
    names = names_of(paths)
    if len(names) == 1:
        record.note(f"weights: {names[0]}")
        return
    record.metric("trainings", len(names))
    record.metric(f"{measure}_seed_low", min(values))
    record.metric(f"{measure}_seed_high", max(values))
    each = ", ".join(f"{name} {value:.4g}" for name, value in zip(names, values, strict=True))
    record.note(f"{measure.upper()} {fmean(values):.4g}: the mean over {len(names)} trainings: {each}")


def names_of(paths: Sequence[Path]) -> list[str]:
    """Weights by their folder and file."""
    return ["/".join(path.parts[-2:]) for path in paths]
