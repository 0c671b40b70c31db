"""Faults planted in the harness itself: what `pacbench compare` promises holds, and breaks with each of them.

They are those that benchmark harnesses have: a swapped baseline, failed rows averaged in, a stale result, a number on a
red gate, a case lost from the table, a verdict with exit code 0.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_up_runs import ENVIRONMENT, FakeRun

from pacbench import command_line
from pacbench.commands import compare as command
from pacbench.comparing import case_rounds, comparison
from pacbench.records import JobRecord, RunSettings, append, read_one
from pacbench.reports import comparison_table
from pacbench.running import resuming
from pacbench.running.job import GATE_SUITE

TRUTH = {"slow": 1.2, "quick": 0.8, "equal": 1.0}
"""What NEW's time is of BASE's."""

ABSURD_S = 1e-9
Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    """BASE `a`, which alone has `gone`; NEW `b` of known times, in which `broken` fails once; `red`, quick, wrong."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    cases = dict.fromkeys([*TRUTH, "broken"], 1e-3)
    made = FakeRun(tmp_path / "run", {"a": 1.0, "b": 1.0, "red": 0.5}, cases, red=["red"], noise=0.005)
    for number in range(12):
        fields = {case: {"samples_s": [1e-3 * TRUTH.get(case, 1.0) * (1 + 1e-4 * number)]} for case in cases}
        made.job(f"work-a-r{number}", "work", "a", number, {case: {"samples_s": [1e-3]} for case in [*cases, "gone"]})
        if number == 3:
            fields["broken"] = {"outcome": "failed", "reason": "wrong by a mile", "samples_s": [ABSURD_S]}
        made.job(f"work-b-r{number}", "work", "b", number, fields)
    return made


def compare(*words: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pacbench", "compare", *words, "--output", "told"])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
    return int(ended.value.code or 0)


def told() -> dict[str, dict[str, str]]:
    with Path("told", "comparison.csv").open(newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def assert_verdicts_are_on_new(run: FakeRun) -> None:
    compare("run:a", "run:b")
    rows = told()
    assert {case: rows[case]["verdict"] for case in TRUTH} == {"slow": "slower", "quick": "faster", "equal": "same"}
    for case, ratio in TRUTH.items():
        assert float(rows[case]["ratio"]) == pytest.approx(ratio, rel=0.01)
    said = json.loads(Path("told", "comparison.json").read_text())
    assert said["base"].startswith("run:a")
    assert said["new"].startswith("run:b")


def assert_failures_have_no_number(run: FakeRun) -> None:
    assert compare("run:a", "run:b") == 1
    row = told()["broken"]
    assert (row["ratio"], row["new_ms"], row["verdict"]) == ("", "", "not compared")
    assert "wrong by a mile" in row["reasons"]


def assert_no_number_on_a_red_gate(run: FakeRun) -> None:
    assert compare("run:a", "run:red") == 1
    assert {row["ratio"] for row in told().values()} == {""}


def assert_every_case_is_told(run: FakeRun) -> None:
    compare("run:a", "run:b")
    expected = {*TRUTH, "broken", "gone"}
    assert set(told()) == expected
    assert {case["case"] for case in json.loads(Path("told", "comparison.json").read_text())["cases"]} == expected
    suite = ElementTree.parse("told/comparison.junit.xml").getroot()  # noqa: S314 (it is our own)
    assert {element.get("name") for element in suite.iter("testcase")} == expected
    markdown = Path("told", "comparison.md").read_text()
    assert all(f"| {case} " in markdown for case in expected)


def assert_slower_is_an_exit_code(run: FakeRun) -> None:
    for number in range(12):
        for backend, ratio in (("a", 1.0), ("b", 1.2)):
            seconds = 1e-3 * ratio * (1 + 1e-4 * number)
            run.job(f"work-{backend}-r{number}", "work", backend, number, {"slow": {"samples_s": [seconds]}})
    assert compare("run:a", "run:b") == 1
    assert [row["verdict"] for row in told().values()] == ["slower"]


def assert_nothing_stale_is_kept(run: FakeRun) -> None:
    """Under the same key a job is kept; under that of other code it is not."""
    settings = read_one(run.folder / "run.json", RunSettings)
    before = resuming.job_keys(settings, ENVIRONMENT)
    for job, key in before.items():
        if job.suite != GATE_SUITE:
            append(
                run.folder / "jobs.jsonl",
                JobRecord(job=job.name, key=key, suite=job.suite, backend=job.backend, round=job.round,
                          outcome="completed"),
            )  # fmt: skip
    assert len(resuming.reusable_jobs(run.folder, before, print)) == 36
    for change in ({"package_hash": "other"}, {"suites": {"work": "other"}}, {"torch": "3"}):
        now = resuming.job_keys(settings, ENVIRONMENT.model_copy(update=change))
        assert resuming.reusable_jobs(run.folder, now, print) == {}


def swap_ratios(patch: pytest.MonkeyPatch) -> None:
    effect = comparison.paired_effect
    patch.setattr(comparison, "paired_effect", lambda values: effect([-value for value in values]))


def swap_sides(patch: pytest.MonkeyPatch) -> None:
    read = command.read_sides
    patch.setattr(command, "read_sides", lambda base, new: read(new, base))


def average_failures_in(patch: pytest.MonkeyPatch) -> None:
    rounds = case_rounds._case_rounds
    patch.setattr(
        case_rounds,
        "_case_rounds",
        lambda rows, planned: rounds([row | {"outcome": "passed"} for row in rows], planned),
    )


def leave_failed_rounds_out(patch: pytest.MonkeyPatch) -> None:
    rounds = case_rounds._case_rounds
    patch.setattr(
        case_rounds, "_case_rounds", lambda rows, _: rounds([row for row in rows if row["outcome"] == "passed"], 0)
    )


def ignore_gates(patch: pytest.MonkeyPatch) -> None:
    rounds = case_rounds._case_rounds
    patch.setattr(
        case_rounds, "_case_rounds", lambda rows, planned: rounds([row | {"gate_green": True} for row in rows], planned)
    )


def lose_one_sided_cases(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(comparison, "_says_nothing", lambda base, new: base is None or new is None)


def lose_rows_without_a_number(patch: pytest.MonkeyPatch) -> None:
    table = comparison_table.comparison_table

    def shortened(compared: comparison.Comparison):
        whole = table(compared)
        return replace(whole, rows=tuple(row for row in whole.rows if whole.cell(row, "ratio").text))

    patch.setattr("pacbench.reports.comparison_files.comparison_table", shortened)


def exit_0(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(command, "exit_code", lambda *_, **__: 0)


def forget_the_code(patch: pytest.MonkeyPatch) -> None:
    key = resuming.job_key
    patch.setattr(
        resuming, "job_key",
        lambda job, settings, environment, **rest: key(
            job, settings, environment.model_copy(update={"package_hash": ""}), **rest
        ),
    )  # fmt: skip


def forget_the_suite(patch: pytest.MonkeyPatch) -> None:
    key = resuming.job_key
    patch.setattr(resuming, "job_key", lambda *given, **rest: key(*given, **(rest | {"suite_code": ""})))


PROMISES = {
    assert_verdicts_are_on_new: [swap_ratios, swap_sides],
    assert_failures_have_no_number: [average_failures_in, leave_failed_rounds_out],
    assert_no_number_on_a_red_gate: [ignore_gates],
    assert_every_case_is_told: [lose_one_sided_cases, lose_rows_without_a_number],
    assert_slower_is_an_exit_code: [exit_0],
    assert_nothing_stale_is_kept: [forget_the_code, forget_the_suite],
}
FAULTS = [(promise, plant) for promise, plants in PROMISES.items() for plant in plants]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__.removeprefix("assert_"))
def test_promise_is_kept(run: FakeRun, promise: Callable[[FakeRun], None]):
    promise(run)


@pytest.mark.parametrize(("promise", "plant"), FAULTS, ids=[plant.__name__ for _, plant in FAULTS])
def test_planted_fault_is_caught(
    run: FakeRun, monkeypatch: pytest.MonkeyPatch, promise: Callable[[FakeRun], None], plant: Plant
):
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        promise(run)
