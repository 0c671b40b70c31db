"""Jobs on the workers of an executor: the same rows as a local run, each result once, whatever the executor does."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from rich.console import Console
from same_frame import expect_each_case_once, expect_same_frame

from pacbench.frame import Run, summary
from pacbench.records import Environment
from pacbench.running import turn as turn_module
from pacbench.running.coordinator import Coordinator, run_interleaved
from pacbench.running.dispatch import ATTEMPTS
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
    prediction_folder.mkdir()
    (prediction_folder / f"{backend.name}.png").write_bytes(PNG)
"""


@contextmanager
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@contextmanager
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


class Faulty(Executor):
    """Runs everything at once, then hands the result to a fault, which makes a future of it."""

    def __init__(self, fault: Callable[[Callable[[], Any], int], Any]) -> None:
        self._fault = fault
        self.turns = 0

    def submit(self, fn, /, *arguments, **rest):  # type: ignore[no-untyped-def]
        future: Future[Any] = Future()
        try:
            if fn is turn_module.work_off:
                self.turns += 1
                future.set_result(self._fault(lambda: fn(*arguments, **rest), self.turns))
            else:
                future.set_result(fn(*arguments, **rest))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """Runs that several tests look at."""
    return {}


@pytest.fixture
def local(runner, runs: dict[str, Run]) -> Run:
    """The same run by the coordinator itself; the runner's folder is another then."""
    if "local" not in runs:
        runs["local"], code = runner.run(runner.settings("Good", "Other", rounds=2))
        assert code == 0, runner.output.getvalue()
    runner.folder = runner.folder.with_name("by an executor")
    return runs["local"]


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
    assert (runner.folder / "predictions" / "good.png").is_file()
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


def test_a_turn_whose_worker_died_runs_again_and_its_rows_say_so(runner, local: Run):
    def dies_once(result: Callable[[], TurnResult], number: int) -> TurnResult:
        if number == 3:
            raise ConnectionError("the worker went away")
        return result()

    run, code = runner.run(runner.settings("Good", "Other", rounds=2), executor=Faulty(dies_once))
    assert code == 0, runner.output.getvalue()
    expect_same_frame(run, local)
    expect_each_case_once(run)
    again = run.frame[run.frame["attempt"] == 2]
    assert set(zip(again["suite"], again["round"], strict=True)) == {("work", 0)}
    assert len(again) == 6
    for notes in again["notes"]:
        assert notes[-1].startswith("attempt 2 on ")
        assert notes[-1].endswith("after: ConnectionError: the worker went away")
    told = summary(run.frame)
    assert all("attempt 2" in notes[-1] for notes in told[told["suite"] == "work"]["notes"])


@pytest.mark.parametrize(
    ("error", "said"), [(ConnectionError("gone"), "ConnectionError: gone"), (RunError("cannot look"), "cannot look")]
)
def test_a_turn_that_never_comes_home_is_failed_rows(runner, error: Exception, said: str):
    def dies(result: Callable[[], TurnResult], number: int) -> TurnResult:
        if number > 1:
            raise error
        return result()

    executor = Faulty(dies)
    run, code = runner.run(executor=executor)
    assert code == 1
    assert executor.turns == 1 + ATTEMPTS
    ((outcome, reason),) = runner.outcomes(run).values()
    assert outcome == "crashed"
    assert reason == f"no worker brought a result home in 3 attempts: {said}"


@pytest.mark.parametrize("fault", ["late", "twice", "another's", "nothing"])
def test_a_result_that_is_not_of_this_attempt_never_counts(runner, local: Run, fault: str):
    """The planted faults: what an attempt brings that was given up, a result told twice, and none at all."""
    kept: list[TurnResult] = []

    def faulty(result: Callable[[], TurnResult], number: int) -> Any:
        found = result()
        kept.append(found)
        if fault == "late" and number == 3:
            raise TimeoutError("thought dead")
        if fault == "late" and number == 5:  # the second attempt at the turn: what comes is the first one's
            return kept[2]
        if fault == "twice" and number == 4:
            return kept[2]
        if fault == "another's" and number == 2:
            return kept[0]
        if fault == "nothing" and number == 2:
            return None
        return found

    run, code = runner.run(runner.settings("Good", "Other", rounds=2), executor=Faulty(faulty))
    assert code == 0, runner.output.getvalue()
    expect_same_frame(run, local)
    expect_each_case_once(run)
    last = run.frame["attempt"].max()
    assert last == (3 if fault == "late" else 2)
    notes = run.frame[run.frame["attempt"] == last]["notes"].iloc[0][-1]
    assert (
        "expected a result of this turn" if fault == "nothing" else "of another attempt, which was dropped"
    ) in notes
    jobs = Counter(record.job for record in runner.jobs())
    assert set(jobs.values()) == {1}


def test_a_worker_of_another_kind_is_refused(runner, environment: Environment, monkeypatch: pytest.MonkeyPatch):
    other = environment.model_copy(update={"torch": "1", "package_hash": "b"})

    def elsewhere(result: Callable[[], TurnResult], number: int) -> TurnResult:
        with monkeypatch.context() as patch:
            patch.setattr(turn_module, "environment_here", lambda _: other)
            return result()

    run, code = runner.run(executor=Faulty(elsewhere))
    assert code == 1
    (reason,) = set(run.frame[run.frame["suite"] == "gradients"]["reason"])
    assert "is not like the run's machine (run / here): torch 2 / 1; package hash a / b" in reason


def test_a_worker_with_other_code_of_a_suite_is_refused(runner, write_suite: Callable[..., str]):
    def changed(result: Callable[[], TurnResult], number: int) -> TurnResult:
        if number == 2:
            write_suite("work", "def test_other(backend): pass")
        return result()

    run, code = runner.run(executor=Faulty(changed))
    assert code == 1
    ((outcome, reason),) = runner.outcomes(run).values()
    assert outcome == "crashed"
    assert "the code of suite or backend, the data or the weights of work-" in str(reason)


def test_a_broken_executor_is_one_line_and_the_run_goes_on_when_resumed(runner):
    pool = ThreadPoolExecutor(1)

    class ShutDownByAnother(Faulty):
        def submit(self, fn, /, *arguments, **rest):  # type: ignore[no-untyped-def]
            if self.turns == 1:  # the gate is home
                pool.shutdown()
                return pool.submit(fn, *arguments, **rest)
            return super().submit(fn, *arguments, **rest)

    with pytest.raises(RunError, match=r"^the executor takes no job: RuntimeError: cannot schedule new futures"):
        runner.run(executor=ShutDownByAnother(lambda result, _: result()))
    run, code = runner.run(resume=True)
    assert code == 0
    assert set(run.frame["outcome"]) == {"passed"}
    assert [job.job.partition("-")[0] for job in runner.jobs()] == ["gate", "work"], "the gate did not run again"


def test_a_process_pool_whose_process_dies_is_one_line(runner, write_suite: Callable[..., str]):
    """Such a pool is broken as a whole: there is no elsewhere to retry."""
    write_suite(
        "work",
        """
        import os, signal, time

        def test_kills_the_worker(backend):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
    """,
    )
    with processes() as executor, pytest.raises(RunError, match=r"^the executor is broken: BrokenProcessPool: "):
        runner.run(executor=executor, measure_roof=False)


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
