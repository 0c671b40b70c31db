"""The coordinator: whatever a job does, the run goes on, nothing is lost without a word, and it can be resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from run_processes import is_running, wait_for

from pacbench.errors import UnknownNameError
from pacbench.records import RunSettings
from pacbench.running.coordinator import resumed_settings
from pacbench.running.job import Job, command, plan
from pacbench.running.probes import METHODS_LISTED_UNDER, RunError, job_environment, list_methods
from pacbench.running.profiles import MOST_CALLS


def test_plan_interleaves_backends_within_rounds():
    settings = RunSettings(suites=["x", "y"], backends=["a", "b"], profile="quick", rounds=2, command="", started="")
    assert [job.name for job in plan(settings)] == [
        "gate-a", "gate-b",
        "x-a-r0", "x-b-r0", "y-a-r0", "y-b-r0",
        "x-a-r1", "x-b-r1", "y-a-r1", "y-b-r1",
    ]  # fmt: skip
    assert [job.marker for job in plan(settings)] == ["smoke"] * 2 + [None] * 4 + ["timing"] * 4


def test_names_of_jobs_are_file_names_and_differ():
    names = {Job("crf", backend).name for backend in ("m:A", "m.A", "m/A", "m_A")}
    assert len(names) == 4
    assert not any("/" in name or ":" in name for name in names)


def test_a_suite_is_asked_for_by_its_package(tmp_path: Path):
    settings = RunSettings(suites=["crf"], backends=["unfold"], profile="quick", rounds=1, command="", started="")
    words = command(Job("crf", "unfold"), settings, tmp_path)
    assert words[1:5] == ["-m", "pytest", "--pyargs", "pacbench.suites.crf"]


def test_a_good_run(runner):
    run, code = runner.run(runner.settings("Good", "Other", rounds=2))
    assert code == 0, runner.output.getvalue()
    assert run.problems == []
    assert {state.green for state in run.gate.values()} == {True}
    assert {state.total for state in run.gate.values()} == {2}, "the smoke subset"
    work = run.frame[run.frame["suite"] == "work"]
    assert work.groupby("round").size().to_dict() == {0: 6, 1: 4}
    assert set(work["outcome"]) == {"passed"}
    assert {len(samples) for samples in work[work["method"].notna()]["samples_s"]} == {MOST_CALLS}
    lines = runner.output.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("[1/6] gate-")
    assert "completed in" in lines[0]
    assert "(2 passed)" in lines[0]
    assert resumed_settings(runner.folder) == runner.settings("Good", "Other", rounds=2)


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "killed by SIGSEGV in test_work.py::test_bad"),
        ("os._exit(7)", "crashed", "left with exit code 7 in test_work.py::test_bad"),
        ("os._exit(0)", "crashed", "left with exit code 0 in test_work.py::test_bad"),
        ("time.sleep(60)", "timeout", "no end within 8 s in test_work.py::test_bad"),
        ("pytest.exit('enough')", "crashed", "pytest was interrupted"),
    ],
)
def test_a_job_that_dies_leaves_rows_and_the_run_goes_on(
    runner, write_suite: Callable[..., str], body: str, outcome: str, reason: str
):
    bad = f"""
        import os, signal, time
        import pytest

        def test_first(backend): pass

        def test_bad(backend):
            if backend.name == "good":
                {body}

        def test_last(backend): pass
    """
    write_suite("work", bad)
    run, code = runner.run(runner.settings("Good", "Other", timeout_s=8.0))
    assert code == 1
    found = runner.outcomes(run)
    assert found["Good test_work.py::test_first"][0] == "passed"
    assert found["Other test_work.py::test_last"] == ("passed", None)
    for case in ("test_bad", "test_last"):
        assert found[f"Good test_work.py::{case}"][0] == "lost"
        assert str(found[f"Good test_work.py::{case}"][1]).startswith(reason)
    (job,) = [job for job in runner.jobs() if job.outcome != "completed"]
    assert job.outcome == outcome


def test_a_hanging_job_leaves_no_child_behind(runner, write_suite: Callable[..., str], tmp_path: Path):
    write_suite(
        "work",
        f"""
        import pathlib, subprocess, time

        def test_hangs(backend):
            child = subprocess.Popen(["sleep", "600"])
            pathlib.Path({str(tmp_path / "child")!r}).write_text(str(child.pid))
            time.sleep(600)
    """,
    )
    runner.run(runner.settings(timeout_s=8.0))
    child = int((tmp_path / "child").read_text())
    assert wait_for(lambda: not is_running(child))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def test_x(:", "SyntaxError"),
        ("import no_such_module", "no_such_module"),
        ("X = 1", "no case was collected"),
    ],
)
def test_a_suite_that_cannot_be_collected_is_a_row(runner, write_suite: Callable[..., str], source: str, reason: str):
    write_suite("work", source)
    run, code = runner.run()
    assert code == 1
    ((outcome, why),) = runner.outcomes(run).values()
    assert outcome in ("crashed", "lost")
    assert reason in str(why)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("assert backend.name != 'good', 'off by 2 %'", "1 of 2 gate cases not passed"),
        ("os.kill(os.getpid(), signal.SIGSEGV) if backend.name == 'good' else None", "killed by SIGSEGV"),
        ("time.sleep(60) if backend.name == 'good' else None", "no end within 8 s"),
    ],
)
def test_a_red_gate_withholds_the_backend_and_no_other(runner, write_suite: Callable[..., str], body: str, reason: str):
    gate = f"""
        import os, signal, time
        import pytest
        pytestmark = [pytest.mark.gate, pytest.mark.smoke]

        def test_right(backend): pass
        def test_wrong(backend): {body}
    """
    write_suite("gradients", gate)
    run, code = runner.run(runner.settings("Good", "Other", timeout_s=8.0))
    assert code == 1
    found = runner.outcomes(run)
    (withheld,) = [value for name, value in found.items() if name.startswith("Good")]
    assert withheld[0] == "withheld"
    assert reason in str(withheld[1])
    assert [outcome for name, (outcome, _) in found.items() if name.startswith("Other")] == ["passed"] * 3
    assert {name.partition(":")[2]: state.green for name, state in run.gate.items()} == {"Good": False, "Other": True}


@pytest.mark.parametrize(("others", "code"), [(("Good",), 0), ((), 1)])
def test_an_unavailable_backend_says_why(runner, others: tuple[str, ...], code: int):
    run, found = runner.run(runner.settings("Absent", *others))
    assert found == code
    (row,) = [value for name, value in runner.outcomes(run).items() if name.startswith("Absent")]
    assert row[0] == "withheld"
    assert "unavailable: no GPU; mend: buy one; no compiler; mend: install g++" in str(row[1])


def test_methods_select_and_unknown_ones_are_refused(runner):
    run, code = runner.run(runner.settings(methods=["linear"]))
    assert code == 0
    assert set(run.frame[run.frame["suite"] == "work"]["method"]) == {"linear", None}
    with pytest.raises(UnknownNameError, match=r"method: got 'linaer', expected one of cubic, linear .*'linear'"):
        runner.run(runner.settings(methods=["linaer"]))


def test_suites_without_the_method_are_left_out(runner, write_suite: Callable[..., str]):
    runner.targets["plain"] = write_suite("plain", "def test_plain(backend): pass")
    run, code = runner.run(runner.settings(suites=["plain", "work"], methods=["linear"]))
    assert code == 0
    assert set(run.frame["suite"]) == {"gradients", "work"}


def test_cases_select(runner):
    run, _ = runner.run(runner.settings(cases="cubic or quality"))
    assert list(runner.outcomes(run)) == ["Good test_work.py::test_time[cubic]", "Good test_work.py::test_quality"]


def test_an_unwritable_folder_is_one_line(runner):
    runner.folder = Path("/proc/nowhere")
    with pytest.raises(RunError, match=r"^/proc/nowhere\S*: cannot be written \([^\n]*$"):
        runner.run()


def test_settings_of_the_current_folder_do_not_reach_jobs(runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    assert runner.run()[1] == 0


def test_jobs_run_in_the_run_folder(
    runner, write_suite: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """pytest would load tests/conftest.py of the working directory into a job that names its suite by package."""
    here = f"""
        import pathlib

        def test_here(backend):
            assert pathlib.Path.cwd() == pathlib.Path({str(runner.folder)!r})
    """
    write_suite("work", here)
    monkeypatch.chdir(tmp_path)
    assert runner.run()[1] == 0
    monkeypatch.setenv("PYTHONPATH", "near:/far")
    assert job_environment()["PYTHONPATH"] == f"{tmp_path / 'near'}:/far"


def test_a_conftest_of_the_current_folder_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text("raise RuntimeError('not mine')\n")
    monkeypatch.chdir(tmp_path)
    assert "conv_crf_7" in list_methods("crf", METHODS_LISTED_UNDER, {})


@pytest.mark.parametrize(("name", "value"), [("kept", "0"), ("default", None)])
def test_every_job_gets_the_allocator_setting_of_the_run(
    runner, write_suite: Callable[..., str], monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
):
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    suite = f"""
        import os

        def test_setting(backend):
            assert os.environ.get("MALLOC_MMAP_MAX_") == {value!r}
    """
    write_suite("work", suite)
    run, code = runner.run(runner.settings("Good", "Other", allocator=name))
    assert code == 0, run.frame["reason"].tolist()
    assert resumed_settings(runner.folder).allocator == name


def test_an_allocator_setting_that_nobody_named():
    with pytest.raises(UnknownNameError, match="allocator: got 'jemalloc', expected one of default, kept"):
        job_environment("jemalloc")
