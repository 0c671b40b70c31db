"""Whether two runs say the same, and a folder each thing once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from pacbench.frame import Run
from pacbench.records import CaseRecord, read_lines

TIMES = ["samples_s", "median_s", "duration_s", "peak_memory_bytes"]
PLACES = ["machine", "worker", "attempt", "notes"]


def expect_same_frame(run: Run, other: Run, *, besides: Sequence[str] = (*TIMES, *PLACES)) -> None:
    """Assert that two runs say the same in all columns besides these."""
    pd.testing.assert_frame_equal(_alike(run, besides), _alike(other, besides))


def expect_each_case_once(run: Run) -> None:
    """Assert that every row of a run has one record in its folder, and every record a row."""
    counts = Counter(
        (line.backend, line.case, line.round)
        for path in run.folder.glob("records/*.jsonl")
        for line in read_lines(path)
        if isinstance(line, CaseRecord)
    )
    assert set(counts.values()) == {1}
    assert sum(counts.values()) == len(run.frame)


def _alike(run: Run, besides: Sequence[str]) -> pd.DataFrame:
    frame = run.frame.drop(columns=list(besides))
    return frame.sort_values(["suite", "backend", "round", "job"], kind="stable", ignore_index=True)
