"""Jobs on the workers of an executor: the same rows as a local run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from executors import Faulty, processes, threads
from rich.console import Console
from same_frame import expect_each_case_once, expect_same_frame

from pacbench.frame import Run
from pacbench.running.coordinator import Coordinator, run_interleaved
from pacbench.running.executors import opened
from pacbench.running.job import plan
from pacbench.running.probes import RunError
from pacbench.running.turn import TurnResult

PICTURES = """
import pathlib
import pytest

PNG = b"\\x89PNG\\r\\n\\x1a\\n" + bytes(20)

@pytest.mark.timing
def test_time(backend, measure):
    measure(lambda: None)

@pytest.mark.quality
def test_quality(backend, record, prediction_folder):
    record.metric("mIoU", 0.5)
    record.panel("example", PNG)
    prediction_folder.mkdir(parents=True)
    (prediction_folder / f"{backend.name}.png").write_bytes(PNG)
"""


@pytest.mark.parametrize("pool", [threads, processes])
def test_the_same_frame_as_the_local_run(runner, local: Run, pool, monkeypatch: pytest.MonkeyPatch):
    with pool() as executor:
        run, code = runner.run(runner.settings("Good", "Other", rounds=2), executor=executor, measure_roof=False)
    assert code == 0, runner.output.getvalue()
    assert run.problems == []
    expect_same_frame(run, local)
    expect_each_case_once(run)
    assert set(run.frame["attempt"]) == {1}
    assert run.frame["machine"].notna().all()
    assert local.frame["machine"].isna().all()
    by_turn = run.frame[run.frame["suite"] == "work"].groupby("round")["worker"].nunique()
    assert by_turn.tolist() == [1, 1], "a round is measured by one worker"


def test_turns_go_out_in_the_order_of_a_local_run(runner):
    handed_out = []

    def noted(result: Callable[[], TurnResult], _: int) -> TurnResult:
        found = result()
        handed_out.append([parcel.job for parcel in found.parcels])
        return found

    settings = runner.settings("Good", "Other", rounds=2)
    runner.run(settings, executor=Faulty(noted))
    gates, first, second = ([job.name for job in plan(settings)][part] for part in (slice(2), slice(2, 4), slice(4, 6)))
    assert handed_out == [[gates[0]], [gates[1]], first, second]


def test_pictures_and_predictions_come_home(runner, write_suite: Callable[..., str]):
    write_suite("work", PICTURES)
    with threads() as executor:
        run, code = runner.run(runner.settings(save_predictions=True), executor=executor)
    assert code == 0, run.frame["reason"].tolist()
    (panel,) = run.frame["panel"].dropna()
    assert (runner.folder / panel).is_file()
    assert len(list((runner.folder / "predictions").glob("work-*-r0/good.png"))) == 1
    assert sorted(path.suffix for path in (runner.folder / "logs").iterdir()) == [".log", ".log"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV in test_work.py::test_bad"),
        ("time.sleep(60)", "no end within 6 s in test_work.py::test_bad"),
    ],
)
def test_a_job_that_dies_on_a_worker_is_a_row_and_is_not_retried(
    runner, write_suite: Callable[..., str], body: str, reason: str
):
    write_suite(
        "work",
        f"""
        import os, signal, time

        def test_first(backend): pass

        def test_bad(backend):
            if backend.name == "good":
                {body}
    """,
    )
    with threads() as executor:
        run, code = runner.run(runner.settings("Good", "Other", timeout_s=6.0), executor=executor)
    assert code == 1
    found = runner.outcomes(run)
    assert found["Good test_work.py::test_first"][0] == "passed"
    assert found["Good test_work.py::test_bad"][0] == "lost"
    assert str(found["Good test_work.py::test_bad"][1]).startswith(reason)
    assert found["Other test_work.py::test_bad"] == ("passed", None)
    assert set(run.frame["attempt"]) == {1}


def test_a_red_gate_withholds_the_backend_on_workers_too(runner, write_suite: Callable[..., str]):
    gate = """
        import pytest
        pytestmark = [pytest.mark.gate, pytest.mark.smoke]

        def test_right(backend):
            assert backend.name != "good", "off by 2 %"
    """
    write_suite("gradients", gate)
    with threads() as executor:
        run, code = runner.run(runner.settings("Good", "Other"), executor=executor)
    assert code == 1
    found = runner.outcomes(run)
    assert [value[0] for name, value in found.items() if name.startswith("Good")] == ["withheld"]
    assert [value[0] for name, value in found.items() if name.startswith("Other")] == ["passed"] * 3


def test_an_executor_by_a_factory_of_ones_own(runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pools.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def make(): return ThreadPoolExecutor(1)\n"
        "def wrong(): return 3\n"
        "def fails(): raise OSError('no cluster')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    coordinator = Coordinator(runner.folder, runner.settings(), Console())
    with opened("pools:make", coordinator) as executor:
        assert runner.run(executor=executor)[1] == 0
    for name, said in {
        "pools:wrong": "got int, expected a concurrent.futures.Executor",
        "pools:fails": "the factory raised OSError: no cluster",
        "pools:none": "module 'pools' has no attribute 'none'",
        "no_such_module:make": "No module named 'no_such_module'",
    }.items():
        with pytest.raises(RunError, match=f"^--executor {name}: {said}"), opened(name, coordinator):
            pass


def test_interleaved_runs_take_no_executor(runner):
    both = [
        Coordinator(runner.folder / name, runner.settings(), Console(), executor=Faulty(lambda result, _: result()))
        for name in ("a", "b")
    ]
    with pytest.raises(ValueError, match="got an executor, expected one run"):
        run_interleaved(both)


def test_resumed_by_another_executor(runner):
    with threads() as executor:
        runner.run(executor=executor)
        before = runner.jobs()
        run, code = runner.run(executor=executor, resume=True)
    assert code == 0
    assert runner.jobs() == before
    assert set(run.frame["outcome"]) == {"passed"}
