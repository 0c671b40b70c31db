"""Comparing run folders whose truth is known: verdicts, and every row that has none, with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from pacbench.comparing.case_rounds import CaseRounds, case_rounds, log_ratio
from pacbench.comparing.comparison import ComparedCase, Comparison, compare, exit_code
from pacbench.comparing.sides import SideError, read_sides
from pacbench.records import CaseRecord, append, read_lines
from pacbench.reports.comparison_table import comparison_table

CASES = {"small": 1e-3, "large": 1e-1}


def compared(base: object, new: object, **options: bool) -> Comparison:
    return compare(*read_sides(str(base), str(new)), **options)


def case(comparison: Comparison, name: str | None) -> ComparedCase:
    (found,) = [row for row in comparison.cases if row.case == name]
    return found


def halve(folder: Path, job: str) -> None:
    """Make a job twice as fast."""
    path = folder / "records" / f"{job}.jsonl"
    lines = read_lines(path)
    path.unlink()
    for line in lines:
        faster = {"samples_s": [sample / 2 for sample in line.samples_s]} if isinstance(line, CaseRecord) else {}
        append(path, line.model_copy(update=faster))


@pytest.mark.parametrize(
    ("factor", "expected", "code"), [(1.1, "slower", 1), (1.0, "same", 0), (0.9, "faster", 0), (1.025, "ambiguous", 0)]
)
def test_two_backends_of_one_run_are_paired(fake_run: Callable, factor: float, expected: str, code: int):
    folder = fake_run("run", {"a": 1.0, "b": factor}, CASES).folder
    comparison = compared(f"{folder}:a", f"{folder}:b")
    assert comparison.paired
    assert [row.verdict for row in comparison.cases] == [expected] * 2
    assert case(comparison, "small").ratio == pytest.approx(factor, rel=0.02)
    assert case(comparison, "small").backend == "a / b"
    assert case(comparison, "small").new_s == pytest.approx(1e-3 * factor, rel=0.2)
    assert exit_code(comparison) == code
    assert exit_code(comparison, strict=True) == (3 if expected == "ambiguous" else code)


def test_pairing_removes_what_whole_rounds_share(fake_run: Callable):
    """Rounds drift by 10 %; 3 % of difference is found all the same between interleaved runs, and only there."""
    mark = {"settings": {"interleaved": "one-id"}}
    first = fake_run("first", {"a": 1.0}, CASES, noise=0.001, **mark).folder
    again = fake_run("again", {"a": 1.05}, CASES, noise=0.001, **mark).folder
    assert compared(first, again).paired
    assert {row.verdict for row in compared(first, again).cases} == {"slower"}
    apart = fake_run("apart", {"a": 1.05}, CASES, noise=0.001, seed=1).folder
    assert not compared(first, apart).paired
    assert {row.verdict for row in compared(first, apart).cases} == {"ambiguous"}
    assert "not paired" in " ".join(compared(first, apart).remarks)


def test_rounds_of_two_machines_make_no_pair(fake_run: Callable):
    """The planted fault: a backend that moved to a machine twice as fast in the middle of a run looks no faster."""
    before, moved = ["m"] * 12, ["m"] * 6 + ["n"] * 6
    folder = fake_run("run", {"a": 1.0, "b": 1.0}, CASES, machines={"a": before, "b": moved}).folder
    for number in range(6, 12):
        halve(folder, f"work-b-r{number}")
    comparison = compared(f"{folder}:a", f"{folder}:b")
    assert [row.base_rounds for row in comparison.cases] == [6, 6]
    assert "faster" not in {row.verdict for row in comparison.cases}
    assert case(comparison, "small").ratio == pytest.approx(1, rel=0.03)
    assert any(
        remark.startswith("BASE was measured on m; NEW on m, n. Rounds make a pair only where both")
        for remark in comparison.remarks
    )


def test_too_few_rounds_on_one_machine_are_said(fake_run: Callable):
    machines = {"a": ["m"] * 12, "b": ["m"] * 3 + ["n"] * 9}
    folder = fake_run("run", {"a": 1.0, "b": 2.0}, CASES, machines=machines).folder
    row = case(compared(f"{folder}:a", f"{folder}:b"), "small")
    assert row.verdict == "ambiguous"
    assert row.reason == (
        "3 rounds are too few for an interval, which takes 5; 9 were measured on two machines and make no pair"
    )


def test_stored_runs_of_several_machines_say_so(fake_run: Callable):
    base = fake_run("base", {"a": 1.0}, CASES, machines={"a": ["m", "n"] * 6}).folder
    new = fake_run("new", {"a": 1.0}, CASES, seed=1).folder
    (remark,) = [remark for remark in compared(base, new).remarks if remark.startswith("BASE was measured on")]
    assert remark.startswith(
        "BASE was measured on m, n; NEW on the run's own machine. What differs between these counts"
    )
    assert compared(base, new).cases[0].base_rounds == 12


def test_stored_runs_are_compared_unpaired(fake_run: Callable):
    base = fake_run("base", {"a": 1.0}, CASES).folder
    new = fake_run("new", {"a": 2.0}, CASES, seed=1).folder
    comparison = compared(base, new)
    assert {row.verdict for row in comparison.cases} == {"slower"}
    assert case(comparison, "small").ratio == pytest.approx(2, rel=0.2)


def test_each_side_is_named(fake_run: Callable):
    base = fake_run("base", {"a": 1.0}, CASES, settings={"revision": "abc1234 first"}).folder
    comparison = compared(base, fake_run("new", {"a": 1.0}, CASES).folder)
    assert comparison.base == f"{base}, revision abc1234 first"
    assert comparison.new.endswith("new, started now")
    caption = comparison_table(comparison).caption
    assert caption == f"BASE, the baseline, is {comparison.base}; NEW is {comparison.new}."


def test_too_few_rounds_are_said_with_the_smallest_p(fake_run: Callable):
    folder = fake_run("run", {"a": 1.0, "b": 1.5}, CASES, rounds=5).folder
    comparison = compared(f"{folder}:a", f"{folder}:b")
    assert {row.verdict for row in comparison.cases} == {"ambiguous"}
    assert "smallest attainable p is 0.0625, 0.125 after Holm's correction" in str(case(comparison, "small").reason)
    assert any("Too few rounds" in remark and "7 rounds of each side could" in remark for remark in comparison.remarks)
    folder = fake_run("short", {"a": 1.0, "b": 1.5}, CASES, rounds=3).folder
    comparison = compared(f"{folder}:a", f"{folder}:b")
    assert {row.verdict for row in comparison.cases} == {"ambiguous"}
    assert "3 rounds are too few for an interval" in str(case(comparison, "small").reason)
    assert exit_code(comparison) == 0
    assert exit_code(comparison, strict=True) == 3


@pytest.mark.parametrize("side", ["BASE", "NEW"])
@pytest.mark.parametrize("outcome", ["failed", "error"])
def test_a_failed_row_is_never_averaged_in(fake_run: Callable, side: str, outcome: str):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, CASES)
    backend = "a" if side == "BASE" else "b"
    bad = {"outcome": outcome, "reason": "wrong by a mile", "samples_s": [1e-9]}
    run.job(f"work-{backend}-r4", "work", backend, 4, {"small": bad, "large": {"samples_s": [0.1]}})
    comparison = compared(f"{run.folder}:a", f"{run.folder}:b")
    row = case(comparison, "small")
    assert (row.verdict, row.ratio, row.failed) == (None, None, True)
    assert f"{side} failed in round 4: wrong by a mile" in str(row.reason)
    assert case(comparison, "large").verdict is not None
    assert exit_code(comparison) == 1


@pytest.mark.parametrize("red", ["a", "b"])
def test_no_number_on_a_red_gate(fake_run: Callable, red: str):
    folder = fake_run("run", {"a": 1.0, "b": 1.0}, CASES, red=[red]).folder
    comparison = compared(f"{folder}:a", f"{folder}:b")
    assert {row.ratio for row in comparison.cases} == {None}
    assert all("no green gate" in str(row.reason) and "off by 2 %" in str(row.reason) for row in comparison.cases)
    assert exit_code(comparison) == 1


def test_cases_of_one_side_are_listed(fake_run: Callable):
    base = fake_run("base", {"a": 1.0}, CASES | {"old": 1.0}).folder
    new = fake_run("new", {"a": 1.0}, CASES | {"young": 1.0}, seed=1).folder
    comparison = compared(base, new)
    assert [row.case for row in comparison.cases] == ["small", "large", "old", "young"]
    assert (case(comparison, "old").only, case(comparison, "young").only) == ("BASE", "NEW")
    assert case(comparison, "old").reason == "only BASE has this case"


@pytest.mark.parametrize("lost", [0, 3])
def test_a_round_that_left_no_record_is_no_smaller_sample(fake_run: Callable, lost: int):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, CASES)
    (run.folder / "records" / f"work-b-r{lost}.jsonl").unlink()
    comparison = compared(f"{run.folder}:a", f"{run.folder}:b")
    assert case(comparison, "small").reason == f"NEW has no record of round {lost}"
    assert case(comparison, "small").failed
    assert exit_code(comparison) == 1


def test_a_skip_is_no_failure(fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, CASES)
    for number in range(12):
        skipped = {"outcome": "skipped", "reason": "not supported"}
        run.job(f"work-b-r{number}", "work", "b", number, {"small": skipped, "large": {"samples_s": [0.1]}})
    comparison = compared(f"{run.folder}:a", f"{run.folder}:b")
    row = case(comparison, "small")
    assert (row.verdict, row.failed) == (None, False)
    assert "NEW was skipped in round 0, 1, 2" in str(row.reason)


def test_other_work_under_the_same_name_is_not_compared(fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, CASES)
    for number in range(12):
        changed = {"samples_s": [1e-3], "shapes": {"input": [1, 2, 3, 4]}}
        run.job(f"work-b-r{number}", "work", "b", number, {"small": changed, "large": {"samples_s": [0.1]}})
    reason = case(compared(f"{run.folder}:a", f"{run.folder}:b"), "small").reason
    assert reason == "the work differs: BASE shapes {}, NEW shapes {'input': [1, 2, 3, 4]}"


def test_nothing_compared_is_no_success(fake_run: Callable):
    base, new = fake_run("base", {"a": 1.0}, {"x": 1.0}).folder, fake_run("new", {"a": 1.0}, {"y": 1.0}).folder
    assert exit_code(compared(base, new)) == 1


def test_a_check_without_times_is_no_row(fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, CASES)
    for backend in "ab":
        run.job(f"work-{backend}-quality", "work", backend, 0, {"quality": {"metrics": {"mIoU": 0.5}}})
    assert "quality" not in [row.case for row in compared(f"{run.folder}:a", f"{run.folder}:b").cases]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"processor": "Other"}, "processor Made-up / Other"),
        ({"threads": 1}, "threads 2 / 1"),
        ({"packages": {"numpy": "9"}}, "numpy not installed / 9"),
        ({"gpu": ["H100"]}, "gpu none / H100"),
    ],
)
def test_other_circumstances_are_refused(fake_run: Callable, change: dict, said: str):
    base = fake_run("base", {"a": 1.0}, CASES).folder
    new = fake_run("new", {"a": 1.0}, CASES, environment=change).folder
    with pytest.raises(SideError, match=f"different circumstances: {said}; --across-machines"):
        compared(base, new)


def test_another_profile_is_refused(fake_run: Callable):
    base = fake_run("base", {"a": 1.0}, CASES).folder
    new = fake_run("new", {"a": 1.0}, CASES, settings={"profile": "full"}).folder
    with pytest.raises(SideError, match="profile quick / full"):
        compared(base, new)


def test_across_machines_compares_ratios_to_the_own_reference(fake_run: Callable):
    def with_reference(name: str, machine: float, backend: float, environment: dict) -> object:
        run = fake_run(name, {"a": 1.0}, {"x": 1.0}, environment=environment)
        for number in range(12):
            wobble = 1 + 0.001 * number
            cases = {
                "test_time[W1-forward]": 3.0 * machine * backend * wobble,
                "test_reference[reference:conv2d-W1-forward]": 1.0 * machine * wobble,
                "test_time[W2-forward]": 5.0 * machine * wobble,
                "test_lonely[W2-kernel]": machine,
            }
            fields = {
                case: {
                    "samples_s": [seconds],
                    "direction": "kernel" if "kernel" in case else "forward",
                    "method": "reference:conv2d" if "reference" in case else None,
                }
                for case, seconds in cases.items()
            }
            run.job(f"work-a-r{number}", "work", "a", number, fields)
        return run.folder

    base = with_reference("base", 1.0, 1.0, {})
    new = with_reference("new", 7.0, 1.2, {"processor": "Other"})
    comparison = compared(base, new, across_machines=True)
    row = case(comparison, "test_time[W1-forward]")
    assert (row.verdict, row.reference) == ("slower", "test_reference[reference:conv2d-W1-forward]")
    assert (row.base_s, row.ratio) == (pytest.approx(3), pytest.approx(1.2))
    assert case(comparison, "test_time[W2-forward]").verdict == "same"
    assert "no reference case" in str(case(comparison, "test_lonely[W2-kernel]").reason)
    assert "test_reference[reference:conv2d-W1-forward]" not in [row.case for row in comparison.cases]
    assert "processor Made-up / Other" in comparison.remarks[-1]


@pytest.mark.parametrize(
    ("outcome", "failed", "code"), [("failed", True, 1), ("skipped", False, 0)], ids=["failed", "skipped"]
)
def test_across_machines_a_reference_that_did_not_pass_is_a_row(
    fake_run: Callable, outcome: str, failed: bool, code: int
):
    references = [f"test_reference[reference:{name}-W1-forward]" for name in ("conv2d", "pool2d")]

    def with_references(name: str, last: dict[str, object]) -> Path:
        run = fake_run(name, {"a": 1.0}, {"x": 1.0})
        for number in range(12):
            timed = {"samples_s": [1.0 + 0.001 * number], "direction": "forward"}
            cases = {case: timed | {"method": case[15:31]} for case in references} | {"test_time[W1-forward]": timed}
            if number == 11:
                cases[references[1]] |= last
            run.job(f"work-a-r{number}", "work", "a", number, cases)
        return run.folder

    base = with_references("base", {})
    new = with_references("new", {"outcome": outcome, "reason": "no"})
    comparison = compared(base, new, across_machines=True)
    assert [row.case for row in comparison.cases] == [references[1], "test_time[W1-forward]"]
    row = case(comparison, references[1])
    assert (row.verdict, row.base_s, row.only, row.failed) == (None, None, None, failed)
    assert str(row.reason).endswith("in round 11: no")
    assert case(comparison, "test_time[W1-forward]").verdict == "same"
    assert exit_code(comparison) == code


@pytest.mark.parametrize(
    ("base", "new", "said"),
    [
        ("run", "nowhere", "NEW: got nowhere, expected the folder of a run, or RUN:backend"),
        ("run:c", "run:b", "run:c: got backend 'c', expected one of a, b"),
        ("run:a", "run:a", "got run:a and run:a, which are the same"),
        ("run:a", "run", "got run:a and run, which are the same"),
    ],
)
def test_sides_that_say_nothing_are_refused(
    fake_run: Callable, monkeypatch: pytest.MonkeyPatch, base: str, new: str, said: str
):
    folder = fake_run("run", {"a": 1.0, "b": 1.0}, CASES, rounds=1).folder
    monkeypatch.chdir(folder.parent)
    with pytest.raises(SideError) as refused:
        read_sides(base, new)
    assert str(refused.value).startswith(said)


def test_a_class_is_a_backend_too(fake_run: Callable):
    folder = fake_run("run", {"module:Class": 1.0, "b": 1.0}, CASES).folder
    base, _ = read_sides(f"{folder}:module:Class", f"{folder}:b")
    assert base.backend == "module:Class"


def test_what_slows_the_machine_down_for_longer_than_a_turn_cancels():
    base, new = CaseRounds("a", logs={0: 0.0}, turns={0: {}}), CaseRounds("a", logs={0: 1.0}, turns={0: {}})
    assert log_ratio(base, new, 0) == 1.0, "without turns the rounds' medians count"
    machine = [0.0, 0.0, 0.7, 0.7, 0.7, 0.0, 0.7]
    base.turns[0].update(enumerate(machine))
    new.turns[0].update({turn: slow + 0.05 for turn, slow in enumerate(machine)})
    new.turns[0][1] += 0.7  # a neighbour came between the two turns
    assert log_ratio(base, new, 0) == pytest.approx(0.05)


def test_turns_are_read_from_the_records(fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, {"x": 1e-3}, rounds=5)
    for backend, factor in (("a", 1.0), ("b", 1.2)):
        for number in range(5):
            samples = [factor * slow * 1e-3 for slow in (1, 1, 2, 2, 2, 2)]
            run.job(
                f"work-{backend}-r{number}", "work", backend, number,
                {"x": {"samples_s": samples, "turns": [0, 0, 1, 1, 2, 2]}},
            )  # fmt: skip
    sides = read_sides(f"{run.folder}:a", f"{run.folder}:b")
    turns = next(found.turns for key, found in case_rounds(sides[1]).items() if key.case == "x")
    assert turns[4] == pytest.approx({0: math.log(1.2e-3), 1: math.log(2.4e-3), 2: math.log(2.4e-3)})
    found = compare(*sides)
    assert case(found, "x").ratio == pytest.approx(1.2)
    assert "took turns" in found.remarks[0]


def test_a_turn_for_each_sample():
    with pytest.raises(ValidationError, match="turns: got 1, expected one for each of 2 samples"):
        CaseRecord(
            job="j", suite="s", case="c", backend="b", round=0, outcome="passed", samples_s=[1.0, 2.0], turns=[0]
        )  # fmt: skip
