"""The fixture `measure`: fixed rounds by pytest-benchmark, then the peak memory of one more call."""

from __future__ import annotations

import pytest

from pacbench.records import CaseRecord, read_lines
from pacbench.running.profiles import MOST_CALLS, PROFILES

pytest_plugins = ["pytester"]

SUITE = """
calls = []

def work(*arguments):
    calls.append(arguments)
    return len(calls)

def test_plain(backend, measure):
    calls.clear()
    assert measure(work) == len(calls)

def test_rounds(backend, measure):
    calls.clear()
    measure(work, rounds=2, warmup=3)

def test_setup(backend, measure):
    calls.clear()
    measure(work, setup=lambda: ((7,), {}))
    assert set(calls) == {(7,)}
"""


def run(pytester: pytest.Pytester, backends: str, source: str, *options: str) -> dict[str, CaseRecord]:
    pytester.makepyfile(source)
    pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Good", "--pacbench-output=out", *options)
    (path,) = pytester.path.glob("out/records/*.jsonl")
    return {line.case.partition("::")[2]: line for line in read_lines(path) if isinstance(line, CaseRecord)}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_short_call_is_timed_often(pytester: pytest.Pytester, backends: str, profile: str):
    found = run(pytester, backends, SUITE, f"--pacbench-profile={profile}")
    assert {one.outcome for one in found.values()} == {"passed"}
    assert len(found["test_plain"].samples_s) == MOST_CALLS
    assert len(found["test_rounds"].samples_s) == 2
    assert all(sample >= 0 for sample in found["test_plain"].samples_s)
    assert found["test_plain"].peak_memory_bytes is not None


@pytest.mark.parametrize(("profile", "calls"), [("quick", [3, 3, 5, 100]), ("standard", [5, 5, 20, 100])])
def test_calls_follow_the_profile(profile: str, calls: list[int]):
    assert [PROFILES[profile].calls(seconds) for seconds in (10.0, 0.05, 0.01, 1e-6)] == calls
    assert PROFILES[profile].calls(0.0) == MOST_CALLS


def test_without_timing_the_call_runs_once(pytester: pytest.Pytester, backends: str):
    once = SUITE.replace("len(calls)", "1", 1)
    found = run(pytester, backends, once, "--benchmark-disable", "-W", "error")
    assert {one.outcome for one in found.values()} == {"passed"}
    assert [one.samples_s for one in found.values()] == [[], [], []]


def test_a_failure_before_measuring_is_one_failure(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile("def test_wrong(backend, measure): assert False, 'wrong'")
    result = pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Good", "-W", "error")
    result.assert_outcomes(failed=1, errors=0)
