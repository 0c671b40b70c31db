"""Each result counts once, whatever an executor loses, mixes up or brings late; and rows say what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from executors import Faulty, processes
from same_frame import expect_each_case_once, expect_same_frame

from pacbench.frame import Run, summary
from pacbench.records import Environment
from pacbench.running import turn as turn_module
from pacbench.running.dispatch import ATTEMPTS
from pacbench.running.probes import RunError
from pacbench.running.turn import TurnResult


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


@pytest.mark.parametrize("at", [0, 1], ids=["before the first job", "after the gate"])
def test_an_executor_that_cannot_reach_its_workers_is_one_line(runner, at: int):
    """An OSError of the executor's is no folder that cannot be written."""

    class Unreachable(Faulty):
        def submit(self, fn, /, *arguments, **rest):  # type: ignore[no-untyped-def]
            if self.turns == at:
                raise ConnectionRefusedError("the scheduler is gone")
            return super().submit(fn, *arguments, **rest)

    with pytest.raises(RunError, match=r"^the executor takes no job: ConnectionRefusedError: the scheduler is gone$"):
        runner.run(executor=Unreachable(lambda result, _: result()))


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
