"""A run folder as a frame: nothing vanishes, no number on a red gate, unreadable files are named."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from pacbench.frame import COLUMNS, read_run, shown, summary
from pacbench.records import (
    NO_CASE,
    CaseRecord,
    Collected,
    Environment,
    JobRecord,
    RecordError,
    RunSettings,
    append,
    write_one,
)


class Folder:
    """Writes the files of a run, job by job."""

    def __init__(self, path: Path, backends: list[str], rounds: int = 1) -> None:
        self.path = path
        settings = RunSettings(
            suites=["work"], backends=backends, profile="quick", rounds=rounds, command="c", started="now"
        )
        write_one(path / "run.json", settings)

    def job(self, name: str, backend: str, outcome: str = "completed", reason: str | None = None, **cases: object):
        suite = "gradients" if name.startswith("gate") else "work"
        round_ = int(name[-1]) if name[-2] == "r" else 0
        path = self.path / "records" / f"{name}.jsonl"
        if cases:
            line = Collected(job=name, suite=suite, backend=backend, round=round_, cases=list(cases))
            append(path, line)
        for case, fields in cases.items():
            if fields is not None:
                fields = {"outcome": "passed"} | dict(fields)  # type: ignore[call-overload]
                append(
                    path,
                    CaseRecord(
                        job=name, suite=suite, backend=backend, round=round_, case=case, gate=suite == "gradients",
                        **fields,
                    ),
                )  # fmt: skip
        if outcome:
            append(
                self.path / "jobs.jsonl",
                JobRecord(
                    job=name, key="k", suite=suite, backend=backend, round=round_, outcome=outcome, reason=reason
                ),
            )  # fmt: skip

    def rows(self) -> dict[tuple[str, str | None], dict[str, object]]:
        return {(row["job"], row["case"]): row for row in read_run(self.path).frame.to_dict("records")}


TIMED = {"samples_s": [3.0, 1.0, 2.0], "metrics": {"mIoU": 0.5}, "peak_memory_bytes": 8, "panel": "panels/a.png"}


def test_every_case_is_a_row_with_all_columns(tmp_path: Path, environment: Environment):
    folder = Folder(tmp_path, ["a"])
    write_one(tmp_path / "environment.json", environment)
    folder.job("gate-a", "a", right={})
    folder.job("work-a-r0", "a", fast=TIMED, gone={"outcome": "skipped", "reason": "no GPU"})
    run = read_run(tmp_path)
    assert list(run.frame.columns) == list(COLUMNS)
    assert run.environment == environment
    assert run.settings is not None
    assert run.problems == []
    assert run.gate["a"].green
    rows = folder.rows()
    assert rows["work-a-r0", "fast"]["median_s"] == 2.0
    assert rows["work-a-r0", "gone"]["reason"] == "no GPU"
    assert rows["work-a-r0", "gone"]["method"] is None
    assert math.isnan(rows["work-a-r0", "gone"]["median_s"])  # type: ignore[arg-type]
    assert len(run.frame) == 3


def test_lost_cases_and_jobs_are_rows_with_reasons(tmp_path: Path):
    folder = Folder(tmp_path, ["a", "b", "c"], rounds=2)
    for backend in "abc":
        folder.job(f"gate-{backend}", backend, right={})
    folder.job("work-a-r0", "a", "crashed", "killed by SIGSEGV in second", first={}, second=None, third=None)
    folder.job("work-b-r0", "b", "timeout", "no end within 5 s")
    folder.job("work-c-r0", "c", "", first={}, second=None)
    rows = folder.rows()
    assert rows["work-a-r0", "first"]["outcome"] == "passed"
    for case in ("second", "third"):
        assert rows["work-a-r0", case]["outcome"] == "lost"
        assert rows["work-a-r0", case]["reason"] == "killed by SIGSEGV in second"
    assert rows["work-b-r0", None]["outcome"] == "timeout"
    assert rows["work-c-r0", "second"]["reason"] == "the run was killed before this job ended"
    assert rows["work-a-r1", None]["outcome"] == "lost"
    assert "never started" in str(rows["work-a-r1", None]["reason"])
    assert len(rows) == 3 + 3 + 1 + 2 + 3


def test_a_job_that_completed_without_a_record_is_a_row_unless_it_has_no_case(tmp_path: Path):
    folder = Folder(tmp_path, ["a"], rounds=3)
    folder.job("work-a-r1", "a")
    folder.job("work-a-r2", "a", reason=NO_CASE)
    rows = folder.rows()
    assert rows["work-a-r1", None]["outcome"] == "lost"
    assert rows["work-a-r1", None]["reason"] == "its records are not there"
    assert ("work-a-r2", None) not in rows


def test_a_job_that_ran_again_counts_once(tmp_path: Path):
    folder = Folder(tmp_path, ["a"])
    folder.job("work-a-r0", "a", "interrupted", "by the user", first=TIMED, second=None)
    (tmp_path / "records" / "work-a-r0.jsonl").unlink()
    folder.job("work-a-r0", "a", first=TIMED, second={})
    outcomes = [row["outcome"] for (job, _), row in folder.rows().items() if job == "work-a-r0"]
    assert outcomes == ["passed", "passed"]


@pytest.mark.parametrize(
    ("outcome", "cases", "reason"),
    [
        ("completed", {"right": {}, "wrong": {"outcome": "failed", "reason": "off by 2 %"}}, "wrong: off by 2 %"),
        ("completed", {"right": {}, "wrong": {"outcome": "error", "reason": "OSError"}}, "1 of 2 gate cases"),
        ("crashed", {"right": {}, "wrong": None}, "killed"),
        ("crashed", {}, "killed"),
        ("completed", {}, "its records are not there"),
        ("completed", {"right": {"outcome": "skipped", "reason": "no GPU"}}, "skipped: no GPU"),
        (None, {}, "never started"),
    ],
)
def test_no_number_on_a_red_gate(tmp_path: Path, outcome: str | None, cases: dict[str, object], reason: str):
    folder = Folder(tmp_path, ["a", "b"])
    folder.job("gate-b", "b", right={})
    if outcome is not None:
        folder.job("gate-a", "a", outcome, None if outcome == "completed" else "killed by SIGSEGV", **cases)
    folder.job("work-a-r0", "a", fast=TIMED)
    folder.job("work-b-r0", "b", fast=TIMED)
    run = read_run(tmp_path)
    assert not run.gate["a"].green
    assert reason in str(run.gate["a"].reason)
    assert run.gate["b"].green
    told = shown(run.frame).set_index(["job", "case"])
    red, green = told.loc["work-a-r0", "fast"], told.loc["work-b-r0", "fast"]
    assert (red["samples_s"], red["metrics"], red["panel"]) == ([], {}, None)
    assert math.isnan(red["median_s"])
    assert math.isnan(red["peak_memory_bytes"])
    assert str(red["reason"]).startswith("gate is not green: ")
    assert (green["median_s"], green["metrics"], green["panel"]) == (2.0, {"mIoU": 0.5}, "panels/a.png")
    assert run.frame.set_index(["job", "case"]).loc["work-a-r0", "fast"]["median_s"] == 2.0, "shown() copies"


def test_a_failed_case_shows_no_number(tmp_path: Path):
    folder = Folder(tmp_path, ["a"])
    folder.job("gate-a", "a", right={})
    folder.job("work-a-r0", "a", fast=TIMED | {"outcome": "failed", "reason": "wrong sum"})
    row = shown(read_run(tmp_path).frame).set_index("case").loc["fast"]
    assert math.isnan(row["median_s"])
    assert row["metrics"] == {}
    assert row["reason"] == "wrong sum"


def test_summary_takes_the_median_of_medians_of_rounds(tmp_path: Path):
    folder = Folder(tmp_path, ["a"], rounds=3)
    folder.job("gate-a", "a", right={})
    for round_, samples in enumerate(([1.0, 1.0, 9.0], [4.0, 4.0, 4.0, 4.0, 4.0], [2.0])):
        folder.job(f"work-a-r{round_}", "a", fast=TIMED | {"samples_s": samples})
    row = summary(read_run(tmp_path).frame).set_index("case").loc["fast"]
    assert row["round_medians_s"] == [1.0, 4.0, 2.0]
    assert row["median_s"] == 2.0
    assert row["rounds"] == 3
    assert len(row["samples_s"]) == 9
    assert row["metrics"] == {"mIoU": 0.5}
    assert row["outcome"] == "passed"


def test_summary_keeps_the_failure_of_any_round(tmp_path: Path):
    folder = Folder(tmp_path, ["a"], rounds=2)
    folder.job("work-a-r0", "a", fast=TIMED)
    folder.job("work-a-r1", "a", "timeout", "no end within 5 s", fast=None)
    row = summary(read_run(tmp_path).frame).set_index("case").loc["fast"]
    assert (row["outcome"], row["reason"]) == ("lost", "no end within 5 s")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("records/work-a-r0.jsonl", '{"kind": "case", "job": 3}\n'),
        ("records/work-a-r0.jsonl", "not JSON\n"),
        ("records/work-a-r0.jsonl", b"\xff\xfe\n"),
        ("records/work-a-r0.jsonl", '{"kind": "case", "schema_version": 2}\n'),
        ("jobs.jsonl", "{}\n"),
        ("run.json", "{"),
        ("environment.json", '{"kind": "environment"}'),
    ],
)
def test_an_unreadable_file_is_one_line_and_the_rest_goes_on(tmp_path: Path, name: str, content: str | bytes):
    folder = Folder(tmp_path, ["a"])
    folder.job("gate-a", "a", right={})
    folder.job("work-a-r0", "a", fast=TIMED)
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    run = read_run(tmp_path)
    (problem,) = run.problems
    assert str(path) in problem
    assert "\n" not in problem
    assert run.gate["a"].green
    if name.startswith("records"):
        row = folder.rows()["work-a-r0", None]
        assert row["outcome"] == "lost"
        assert str(path) in str(row["reason"])


def test_a_half_written_last_line_is_a_lost_case(tmp_path: Path):
    folder = Folder(tmp_path, ["a"])
    folder.job("work-a-r0", "a", "crashed", "killed by SIGKILL in second", first=TIMED, second={})
    path = tmp_path / "records" / "work-a-r0.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    run = read_run(tmp_path)
    assert run.problems == []
    assert folder.rows()["work-a-r0", "second"]["outcome"] == "lost"


def test_appending_after_half_a_line_cuts_that_off(tmp_path: Path):
    folder = Folder(tmp_path, ["a"])
    folder.job("work-a-r0", "a", first={})
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(path.read_bytes() + b'{"kind": "jo')
    folder.job("gate-a", "a", right={})
    assert set(read_run(tmp_path).jobs) == {"work-a-r0", "gate-a"}


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, exists: bool):
    folder = tmp_path if exists else tmp_path / "gone"
    with pytest.raises(RecordError, match=r"got neither run\.json nor records/"):
        read_run(folder)


def test_an_empty_run_is_an_empty_frame(tmp_path: Path):
    (tmp_path / "records").mkdir()
    frame = read_run(tmp_path).frame
    assert len(frame) == len(shown(frame)) == len(summary(frame)) == 0
    assert isinstance(frame, pd.DataFrame)
