"""Every planted fault turns the gate red, at the case that is there to see it; backends without a fault stay green."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
from gate_process import GateEnd, run_cases, run_whole
from planted_faults import BASIC_FAULTS, KILLERS, RARE_FAULTS, SMOKE_FAULTS

from pacbench.backend import Backend
from pacbench.capabilities import Capabilities

SMOKE_CASES = 24
MODULES = ("outputs", "kernels", "gradients", "mean_field", "memory", "processes", "registered_ops")


def parts(faults: dict[str, str], size: int) -> list[dict[str, str]]:
    """The table in parts, each for one process."""
    rows = list(faults.items())
    return [dict(rows[start : start + size]) for start in range(0, len(rows), size)]


def named(faults: dict[str, str]) -> dict[str, str]:
    """The table with backends as the gate takes them."""
    return {f"faulty_backends.{backend}": case for backend, case in faults.items()}


def escaped(end: GateEnd, faults: dict[str, str]) -> list[str]:
    """One line for each fault whose case is not red."""
    return [
        f"{backend}: {case} {end.outcomes(backend).get(case, 'did not run')}; red: {end.red(backend)}"
        for backend, case in faults.items()
        if case not in end.red(backend)
    ]


@pytest.mark.parametrize("faults", parts(BASIC_FAULTS, 5), ids=lambda faults: next(iter(faults)))
def test_basic_faults_turn_the_smoke_subset_red(faults: dict[str, str], tmp_path: Path):
    faults = named(faults)
    end = run_whole(tmp_path, list(faults), smoke=True)
    assert end.exit_code == 1
    assert escaped(end, faults) == []
    assert {len(end.outcomes(backend)) for backend in faults} == {SMOKE_CASES}


@pytest.mark.parametrize("faults", parts(SMOKE_FAULTS, 10), ids=lambda faults: next(iter(faults)))
def test_faults_turn_their_smoke_case_red(faults: dict[str, str], tmp_path: Path):
    faults = named(faults)
    end = run_cases(tmp_path, list(faults.items()), smoke=True)
    assert end.exit_code == 1
    assert escaped(end, faults) == []


@pytest.mark.parametrize("faults", parts(RARE_FAULTS, 10), ids=lambda faults: next(iter(faults)))
def test_rare_faults_turn_their_case_red(faults: dict[str, str], tmp_path: Path):
    faults = named(faults)
    end = run_cases(tmp_path, list(faults.items()), smoke=False)
    assert end.exit_code == 1
    assert escaped(end, faults) == []


def test_faults_fail_for_their_own_reason(tmp_path: Path):
    """The message names what is wrong, not a consequence of it."""
    reasons = {
        "memory:UnwrittenOutput": "got nan",
        "outputs:TwoPercentBias": "of the largest value, expected at most 1e-12",
        "memory:MutatedAndRestoredInput": "was written in place",
        "memory:SharedOutput": "shares the memory of input",
        "memory:ReusedOutput": "a later call overwrote an earlier result",
        "memory:CachedResult": "after its arguments were overwritten",
        "memory:NoisyOutput": "differs between two identical calls",
        "gradients:ModifiedIncomingGradient": "the incoming gradient was modified",
        "outputs:WrongDtype": "got torch.float64, expected torch.float32",
        "processes:RefusesWhatItDeclares": "pacconv_transpose2d is not supported",
    }
    table = BASIC_FAULTS | SMOKE_FAULTS | RARE_FAULTS
    faults = named({fault: table[fault] for fault in reasons})
    end = run_cases(tmp_path, list(faults.items()), smoke=False)
    found = {backend: end.reason(backend, case) for backend, case in faults.items()}
    wrong = {backend: said for backend, said in found.items() if reasons[backend.partition(".")[2]] not in said}
    assert wrong == {}


def test_backends_without_a_fault_keep_the_smoke_subset_green(tmp_path: Path):
    backends = [f"faulty_backends.{name}" for name in ("controls:Faultless", "controls:ForwardOnly")]
    backends += ["faulty_backends.controls:HalfOnly", "faulty_backends.registered_ops:Registered"]
    end = run_whole(tmp_path, backends, smoke=True)
    assert end.exit_code == 0
    outcomes = {backend: set(end.outcomes(backend).values()) for backend in backends}
    assert outcomes[backends[0]] == {"passed"}
    assert all("passed" in found for found in outcomes.values())


def test_cases_that_see_faults_are_green_without_one(tmp_path: Path):
    """Each case of the tables, on the backend that all the faults are changed from."""
    table = set((BASIC_FAULTS | SMOKE_FAULTS | RARE_FAULTS).values())
    controls = {
        "faulty_backends.controls:Faultless": table,
        "faulty_backends.controls:FirstDerivativesOnly": {case for case in table if "second_derivative" in case},
        "faulty_backends.registered_ops:Registered": {case for case in table if "test_registered_ops" in case},
    }
    cases = [(backend, case) for backend, wanted in controls.items() for case in sorted(wanted)]
    end = run_cases(tmp_path, cases, smoke=False)
    red = {(backend, case): end.reason(backend, case) for backend in controls for case in end.red(backend)}
    assert red == {}
    assert end.exit_code == 0
    assert len(end.records) == len(cases)
    skipped = [case for (_, case), record in end.records.items() if record.outcome == "skipped"]
    assert [case for case in skipped if "test_registered_ops" not in case] == []


def test_rightful_limits_are_skips(tmp_path: Path):
    """The whole gate on a backend that declares little: green, each skip with a reason."""
    backend = "faulty_backends.controls:Modest"
    end = run_whole(tmp_path, [backend], smoke=False)
    assert end.exit_code == 0
    outcomes = end.outcomes(backend)
    assert set(outcomes.values()) == {"passed", "skipped"}
    assert outcomes["test_forward.py::test_forward[guided_pacconv2d-3x3-float32]"] == "passed"
    refused = "test_forward.py::test_forward[guided_pacconv2d-3x3-batch0-float32]"
    assert "an empty batch is not supported" in end.reason(backend, refused)
    assert all(end.reason(backend, case) for case, outcome in outcomes.items() if outcome == "skipped")


def test_every_planted_fault_is_in_a_table():
    planted = {
        f"{name}:{attribute}"
        for name in MODULES
        for attribute, member in vars(importlib.import_module(f"faulty_backends.{name}")).items()
        if inspect.isclass(member) and issubclass(member, Backend) and member.__module__.endswith(name)
        if not attribute.startswith("_")
    }
    asked = BASIC_FAULTS.keys() | SMOKE_FAULTS.keys() | RARE_FAULTS.keys() | KILLERS.keys()
    assert planted - {"registered_ops:Registered"} == asked


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_a_tolerance_that_hides_faults_cannot_be_declared(dtype: str):
    with pytest.raises(ValueError, match=f"got tolerance 0.05 for {dtype} backward, expected at most"):
        Capabilities(devices=("cpu",), dtypes=(dtype,), tolerances={(dtype, "backward"): 0.05})
    declared = Capabilities(devices=("cpu",), dtypes=(dtype,))
    with pytest.raises(ValueError, match="got tolerance nan"):
        replace(declared, tolerances={(dtype, "forward"): float("nan")})
