"""`pacbench compare` on the command line: exit codes, tables that name both sides, files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pacbench import command_line

CASES = {"small": 1e-3, "large": 1e-1}


@pytest.fixture
def pacbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Runs a command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pacbench", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.mark.parametrize(
    ("factor", "words", "code", "tally"),
    [
        (1.1, (), 1, "2 slower"),
        (1.0, (), 0, "2 same"),
        (0.9, (), 0, "2 faster"),
        (1.025, (), 0, "2 ambiguous"),
        (1.025, ("--strict",), 3, "2 ambiguous"),
        (1.1, ("--strict",), 1, "2 slower"),
    ],
)
def test_exit_codes(pacbench, fake_run: Callable, factor: float, words: tuple[str, ...], code: int, tally: str):
    fake_run("run", {"a": 1.0, "b": factor}, CASES)
    found, out, err = pacbench("compare", "run:a", "run:b", *words)
    assert (found, err) == (code, "")
    assert f"Comparison: {tally}" in out
    assert "BASE, the baseline, is run:a, started now; NEW is run:b, started now." in " ".join(out.split())
    assert "`pacbench calibrate` measures it" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("base", "*NEW*"),
        ("base nowhere", "NEW: got nowhere, expected the folder of a run, or RUN:backend"),
        (
            "base other",
            "BASE (base) and NEW (other) were made under different circumstances: processor Made-up / Other;*",
        ),
        ("base base", "got base and base, which are the same; expected two runs or two backends of one run"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(pacbench, fake_run: Callable, words: str, message: str):
    fake_run("base", {"a": 1.0}, CASES, rounds=1)
    fake_run("other", {"a": 1.0}, CASES, rounds=1, environment={"processor": "Other"})
    code, out, err = pacbench("compare", *words.split())
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    pytest.LineMatcher([line]).fnmatch_lines([f"pacbench: {message}"])


def test_files(pacbench, fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 1.2}, CASES | {"broken": 1.0})
    bad = {"broken": {"outcome": "failed", "reason": "=wrong | <b>"}, "small": {"samples_s": [1.2e-3]},
           "large": {"samples_s": [0.12]}}  # fmt: skip
    run.job("work-b-r2", "work", "b", 2, bad)
    code, out, _ = pacbench("compare", "run:a", "run:b", "--output", "told")
    assert code == 1
    assert all(name in out for name in ("comparison.md", "comparison.csv", "comparison.json", "comparison.junit.xml"))
    told = Path("told")
    markdown = (told / "comparison.md").read_text()
    assert "BASE, the baseline, is run:a" in markdown
    assert "=wrong \\| &lt;b&gt;" in markdown
    assert "slower" in markdown
    with (told / "comparison.csv").open(newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert float(rows["small"]["ratio"]) == pytest.approx(1.2, rel=0.02)
    assert rows["broken"]["verdict"] == "not compared"
    assert "wrong" in rows["broken"]["reasons"]
    data = json.loads((told / "comparison.json").read_text())
    assert (data["base"], data["new"], data["paired"]) == ("run:a, started now", "run:b, started now", True)
    assert [case["verdict"] for case in data["cases"]] == ["slower", "slower", None]
    suite = ElementTree.parse(told / "comparison.junit.xml").getroot()[0]  # noqa: S314 (it is our own)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "3", "0")
    failures = [element.get("message") for element in suite.iter("failure")]
    assert str(failures[0]).startswith("slower: NEW / BASE 1.2")
    assert "wrong" in str(failures[2])
    properties = {element.get("name"): element.get("value") for element in suite.iter("property")}
    assert properties["base"] == "run:a, started now"


def test_strict_makes_ambiguous_a_junit_failure(pacbench, fake_run: Callable):
    fake_run("run", {"a": 1.0, "b": 1.025}, CASES)
    for words, failures in ((), "0"), (("--strict",), "2"):
        pacbench("compare", "run:a", "run:b", "--output", "told", *words)
        suite = ElementTree.parse("told/comparison.junit.xml").getroot()[0]  # noqa: S314 (it is our own)
        assert suite.get("failures") == failures


def test_an_unreadable_record_is_named_and_no_success(pacbench, fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, CASES)
    (run.folder / "records" / "odd.jsonl").write_text("{}\n")
    code, out, _ = pacbench("compare", "run:a", "run:b")
    assert code == 1
    assert "Problem: run/records/odd.jsonl" in out.replace("\n", "")


def test_files_that_cannot_be_written_are_one_line(pacbench, fake_run: Callable):
    fake_run("run", {"a": 1.0, "b": 1.0}, CASES)
    code, _, err = pacbench("compare", "run:a", "run:b", "--output", "/proc/nowhere")
    assert code == 1
    assert err.startswith("pacbench: /proc/nowhere")
    assert len(err.splitlines()) == 1
