"""History: a folder of files that is only added to, change points at the right commit, and exit codes."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pacbench import command_line
from pacbench.comparing.change_points import change_points
from pacbench.comparing.history import HistoryError, add, entry_of, read, series
from pacbench.frame import read_run


@pytest.fixture
def history(fake_run: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Adds made-up runs of known times to `history`, then runs `pacbench history`: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    added = []

    def run(times: list[float], *words: str, **rest: object) -> tuple[int, str, str]:
        for seconds in times:
            number = len(added)
            added.append(number)
            settings = {
                "started": f"2026-01-{number + 1:02}T00:00:00+0000",
                "revision": f"c{number:07} (commit {number})",
            }
            made = fake_run(
                f"run-{number}", {"a": 1.0}, {"x": seconds, "y": 1.0}, seed=number, settings=settings, **rest
            )
            for place in range(12):  # without the drift that pairs are for
                wobble = 1 + 1e-3 * np.random.default_rng(number).normal()
                fields = {"x": {"samples_s": [seconds * wobble]}, "y": {"samples_s": [1.0 * wobble]}}
                made.job(f"work-a-r{place}", "work", "a", place, fields)
            add(Path("history"), entry_of(read_run(made.folder), f"c{number:07}", f"commit {number}"))
        monkeypatch.setattr(sys, "argv", ["pacbench", "history", "history", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_change_points_are_where_they_were_planted():
    generator = np.random.default_rng(1)
    logs = generator.normal(0, 0.01, 40)
    logs[15:] += np.log(1.10)
    logs[30:] -= np.log(1.20)
    found = change_points(logs)
    assert [point.place for point in found] == [15, 30]
    assert [point.slower for point in found] == [True, False]
    assert found[0].ratio == pytest.approx(1.10, rel=0.02)
    assert found[1].ratio == pytest.approx(1 / 1.20, rel=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_no_change(seed: int):
    generator = np.random.default_rng(seed)
    assert change_points(generator.normal(0, 0.02, 30)) == []


def test_one_run_that_is_off_is_no_change():
    logs = np.random.default_rng(2).normal(0, 0.005, 20)
    logs[10] += 0.5
    assert change_points(logs) == []
    assert change_points(logs[:11]) == []
    assert change_points([0.0, 0.0, 1.0]) == []


def test_a_small_change_is_none():
    logs = np.random.default_rng(3).normal(0, 0.002, 30)
    logs[15:] += np.log(1.02)
    assert change_points(logs) == []


def test_a_lasting_slowdown_is_told_with_its_commit(history):
    code, out, _ = history([1.0] * 6 + [1.2] * 3)
    assert code == 0
    assert "c0000006" in out
    assert "+20" in out
    code, out, _ = history([], "--fail-on-regression")
    assert code == 1
    assert "slower: work x a on Made-up, 2 cores, 2 threads: +20" in out
    assert "since commit c0000006 (commit 6)" in out
    with Path("history/report/history.csv").open(newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert float(rows["x"]["change_percent"]) == pytest.approx(20, abs=1)
    assert (rows["x"]["change_commit"], rows["y"]["change_commit"]) == ("c0000006", "")
    assert "+20" in Path("history/report/history.md").read_text()
    plots = list(Path("history/report/plots").glob("*.png"))
    assert len(plots) == 2
    page = Path("history/report/index.html").read_text()
    assert page.count('class="plot"') == 2
    assert "lasting changes: +20 % at c0000006" in page
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in plots)
    assert history([], "--fail-on-regression", "--recent", "2")[0] == 0
    assert history([0.9] * 2, "--fail-on-regression")[0] == 0, "mended"


def test_a_failure_in_the_newest_run_fails(history, fake_run: Callable, tmp_path: Path):
    history([1.0] * 4)
    run = fake_run("bad", {"a": 1.0}, {"x": 1.0}, settings={"started": "2026-02-01T00:00:00+0000"})
    run.job("work-a-r3", "work", "a", 3, {"x": {"outcome": "failed", "reason": "wrong"}})
    code, out, _ = history([], "--add", str(run.folder), "--commit", "nosuch", "--fail-on-regression")
    assert code == 1
    assert "failed: work x a on Made-up, 2 cores, 2 threads: failed in round 3: wrong" in out
    (newest,) = [line for line in series(read(Path("history"))[0]) if line.case == "x"]
    assert len(newest.medians_s) == 4, "the failed run has no number"
    assert newest.troubles[0].entry.commit == "nosuch"


def test_a_failure_in_the_newest_run_of_another_machine_does_not_stay(history, fake_run: Callable):
    other = {"processor": "Other"}
    history([1.0] * 4)
    run = fake_run("bad", {"a": 1.0}, {"x": 1.0}, environment=other, settings={"started": "2026-01-04T12:00:00+0000"})
    run.job("work-a-r3", "work", "a", 3, {"x": {"outcome": "failed", "reason": "wrong"}})
    code, out, _ = history([], "--add", str(run.folder), "--commit", "nosuch", "--fail-on-regression")
    assert (code, "failed: work x a on Other" in out) == (1, True)
    code, out, _ = history([1.0], "--fail-on-regression")
    assert (code, "failed:" in out) == (0, False)


def test_a_slow_step_on_a_machine_that_is_rarely_used_does_not_stay(history):
    history([1.0] * 4)
    code, out, _ = history([1.0] * 3 + [1.2] * 3, "--fail-on-regression", environment={"processor": "Other"})
    assert (code, "slower: work x a on Other" in out) == (1, True)
    assert history([1.0] * 6, "--fail-on-regression")[0] == 1, "it began in the 9 newest runs"
    code, out, _ = history([1.0] * 2, "--fail-on-regression")
    assert (code, "slower:" in out) == (0, False)
    assert history([], "--fail-on-regression", "--recent", "11")[0] == 1


def test_a_slow_case_that_was_renamed_does_not_stay(history, fake_run: Callable):
    assert history([1.0] * 4 + [1.2] * 3, "--fail-on-regression")[0] == 1
    after = {"started": "2026-01-08T00:00:00+0000"}
    elsewhere = fake_run(
        "full", {"a": 1.0}, {"z": 1.2}, rounds=1, settings={"profile": "full", "started": "2026-01-07T12:00:00+0000"}
    )
    assert history([], "--add", str(elsewhere.folder), "--commit", "nosuch", "--fail-on-regression")[0] == 1
    renamed = fake_run("renamed", {"a": 1.0}, {"z": 1.2, "y": 1.0}, rounds=1, settings=after)
    code, out, _ = history([], "--add", str(renamed.folder), "--commit", "nosuch", "--fail-on-regression")
    assert (code, "slower:" in out) == (0, False)


def test_a_slow_case_that_is_skipped_in_the_newest_run_is_still_slower(history, fake_run: Callable):
    history([1.0] * 4 + [1.2] * 3)
    run = fake_run("skips", {"a": 1.0}, {"x": 1.0}, rounds=1, settings={"started": "2026-02-01T00:00:00+0000"})
    run.job("work-a-r0", "work", "a", 0, {"x": {"outcome": "skipped", "reason": "no"}, "y": {"samples_s": [1.0]}})
    code, out, _ = history([], "--add", str(run.folder), "--commit", "nosuch", "--fail-on-regression")
    assert (code, "slower: work x a" in out) == (1, True)


def test_a_case_that_is_skipped_is_told_and_is_no_failure(history, fake_run: Callable):
    history([1.0] * 3)
    run = fake_run(
        "skips", {"a": 1.0}, {"x": 1.0, "y": 1.0}, rounds=1, settings={"started": "2026-02-01T00:00:00+0000"}
    )
    skipped = {"outcome": "skipped", "reason": "pydensecrf2 is not installed"}
    run.job("work-a-r0", "work", "a", 0, {"x": skipped, "y": {"samples_s": [1.0]}})
    code, out, _ = history([], "--add", str(run.folder), "--commit", "nosuch", "--fail-on-regression")
    assert code == 0, out
    assert "failed:" not in out
    assert "was skipped in round 0: pydensecrf2 is not installed" in Path("history/report/history.md").read_text()


def test_a_smaller_change_for_the_better_hides_no_slowdown(history):
    code, out, _ = history([1.0] * 6 + [1.3] * 3 + [1.2] * 3, "--fail-on-regression")
    assert code == 1
    (said,) = [line for line in out.splitlines() if line.startswith("slower: work x a")]
    assert float(said.split(": ")[2].split(" %")[0]) == pytest.approx(20, abs=1)
    assert said.endswith("since commit c0000006 (commit 6)")


def test_runs_of_several_time_zones_are_in_the_order_in_which_they_were_made(fake_run: Callable, tmp_path: Path):
    starts = ["2026-01-01T08:30:00+0200", "2026-01-01T07:00:00+0000", "2026-01-01T02:30:00-0500", "undated"]
    for number, at in enumerate(starts):
        run = fake_run(f"run-{number}", {"a": 1.0}, {"x": 1.0}, rounds=1, settings={"started": at})
        add(tmp_path / "history", entry_of(read_run(run.folder), f"c{number}", ""))
    assert [entry.commit for entry in read(tmp_path / "history")[0]] == ["c3", "c0", "c1", "c2"]


def test_a_case_that_the_newest_run_does_not_have_says_so(history, fake_run: Callable):
    history([1.0] * 2)
    run = fake_run("less", {"a": 1.0}, {"x": 1.0}, rounds=1, settings={"started": "2026-02-01T00:00:00+0000"})
    history([], "--add", str(run.folder), "--commit", "nosuch")
    told = Path("history/report/history.md").read_text()
    assert told.count("the newest run of this suite, of commit nosuch, does not have the case") == 1
    (row,) = [line for line in told.splitlines() if "| y (" in line]
    assert "| a " in row


def test_a_case_without_a_time_and_without_a_reason_is_no_entry(history):
    history([1.0])
    (path,) = Path("history").glob("*.json")
    whole = json.loads(path.read_text())
    whole["cases"][0]["rounds_s"] = [0.0]
    Path("history", "bad.json").write_text(json.dumps(whole))
    code, out, _ = history([])
    assert code == 1
    assert "rounds_s: got [0.0], expected positive times or a trouble" in " ".join(out.split())


def test_the_folder_is_only_added_to(history, fake_run: Callable):
    history([1.0])
    (first,) = Path("history").glob("*.json")
    before = first.read_bytes()
    entry = read(Path("history"))[0][0]
    with pytest.raises(HistoryError, match="holds this run already"):
        add(Path("history"), entry)
    history([1.0])
    assert first.read_bytes() == before
    assert first.name.startswith("2026-01-01T000000+0000-c0000000-")
    assert len(list(Path("history").glob("*.json"))) == 2


def test_machines_are_apart(history):
    history([1.0] * 3)
    _, out, _ = history([5.0] * 3, environment={"processor": "Other"})
    assert {line.machine for line in series(read(Path("history"))[0])} == {
        "Made-up, 2 cores, 2 threads",
        "Other, 2 cores, 2 threads",
    }
    assert "slower:" not in out


def test_an_unreadable_file_is_named_and_the_rest_is_told(history):
    history([1.0])
    Path("history", "bad.json").write_text("{}")
    code, out, _ = history([])
    assert code == 1
    assert "Problem: history/bad.json" in out
    assert "| x" in Path("history/report/history.md").read_text()
    assert "history/bad.json" in Path("history/report/index.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "nowhere: got no folder, expected a history; `--add RUN` begins one"),
        (("history", "--add", "bare"), "bare: got no readable run.json and environment.json, expected both"),
    ],
)
def test_wrong_use(fake_run: Callable, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path, words, said: str):
    monkeypatch.chdir(tmp_path)
    fake_run("bare", {"a": 1.0}, {"x": 1.0}, rounds=1)
    Path("bare", "environment.json").unlink()
    monkeypatch.setattr(sys, "argv", ["pacbench", "history", *words])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"pacbench: {said}\n"
