"""`pacbench compare --git` on the command line, its builder and its measuring replaced."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pacbench import command_line
from pacbench.commands import compare_revisions as module
from pacbench.comparing.revisions import BuildError, Revision, RevisionError
from pacbench.comparing.sides import Side
from pacbench.frame import read_run

BASE, NEW = Revision("main", "a" * 40, "first"), Revision("HEAD", "b" * 40, "second")


@pytest.fixture
def pacbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "resolve", lambda folder, texts: (folder, [BASE, NEW]))
    monkeypatch.setattr(module, "resource_changes", lambda *_: [])
    monkeypatch.setattr(module, "build", lambda root, revision, folder: f"python of {revision.subject}")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pacbench", "compare", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.mark.parametrize(("slowdown", "code"), [(1.1, 1), (1.0, 0)])
def test_both_are_built_measured_in_turns_and_named(
    pacbench, fake_run: Callable, monkeypatch: pytest.MonkeyPatch, slowdown: float, code: int
):
    asked = []
    monkeypatch.setenv("PYTHONPATH", "/a/checkout")

    def measure(folder, settings, codes, console):
        asked.append((settings, codes))
        assert "PYTHONPATH" not in os.environ, "it would hide both commits behind one checkout"
        marked = [{"interleaved": "x", "revision": code.revision} for code in codes]
        runs = [
            fake_run(f"out/{name}", {"native": factor}, {"W1": 1e-3}, settings=mark).folder
            for name, factor, mark in zip(("base", "new"), (1.0, slowdown), marked, strict=True)
        ]
        return tuple(Side(run.name, read_run(run), None) for run in runs)

    monkeypatch.setattr(module, "measure_in_turns", measure)
    words = ("--git", "main", "HEAD", "--backend", "native", "--cases", "W1,W2", "--rounds", "7", "--output", "out")
    found, out, err = pacbench(*words)
    assert found == code
    ((settings, codes),) = asked
    assert (settings.suites, settings.backends, settings.rounds) == (["operators"], ["native"], 7)
    assert (settings.cases, settings.profile) == ("W1 or W2", "standard")
    assert [code.python for code in codes] == ["python of first", "python of second"]
    assert os.environ["PYTHONPATH"] == "/a/checkout"
    assert "Both commits run the same pacbench (package hash a)." in " ".join(out.split())
    assert f"NEW: building {'b' * 40} (second)" in err
    assert f"revision {'a' * 40} (first)" in " ".join(out.split())
    assert Path("out/comparison.junit.xml").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RevisionError("--git: got 'x', expected a commit"), 2),
        (BuildError("revision x: cannot install it: … no compiler"), 1),
    ],
)
def test_what_cannot_be_built_is_one_line(pacbench, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int):
    def fail(*_):
        raise error

    monkeypatch.setattr(module, "resolve", fail)
    found, out, err = pacbench("--git", "main", "HEAD", "--backend", "native")
    assert (found, out) == (code, "")
    assert err == f"pacbench: {error}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("base", "new", "--rounds", "7", "--cases", "W1"), "got --cases, --rounds, expected --git beside them"),
        (("--git", "a", "b", "--across-machines"), "got --git and --across-machines, expected one of them"),
        (("--git", "a", "b", "--rounds", "4"), "--rounds"),
        (("--git", "a", "b", "--suite", "opertors"), "suite: got 'opertors'"),
        (("--git", "a", "b", "--backend", "native,unfold"), "--backend: got native, unfold, expected one"),
    ],
)
def test_wrong_use(pacbench, words: tuple[str, ...], said: str):
    code, out, err = pacbench(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
