"""The interleaved benchmark in small, on the reference backend: no time is judged, only that all of it is there."""

import math
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import pytest
import torch

from pacbench import command_line
from pacbench.backends.unfold import UnfoldBackend
from pacbench.commands import interleaved as command
from pacbench.commands.interleaved import InterleavedPlan, interleaved_plan, run_interleaved
from pacbench.crf import FullCRF
from pacbench.errors import UnknownNameError
from pacbench.frame import GateState
from pacbench.models.pac_joint_upsample import PacJointUpsample
from pacbench.records import CaseRecord, Environment, read_lines
from pacbench.registry import get_backend
from pacbench.running.allocator import KEPT, with_allocator, without_kept_heap
from pacbench.running.probes import RunError
from pacbench.suites.operators import accuracy, extra_memory, interleaved, parts, scaling, subjects
from pacbench.suites.operators.subjects import SMALL_SUBJECTS, SUBJECTS, Subject
from pacbench.suites.operators.upsampling_twin import TWINS, PlainTwin

BY_NAME = {subject.name: subject for subject in SMALL_SUBJECTS}


def tiny(name: str) -> Subject:
    """The operator of a case on a few pixels."""
    subject = BY_NAME[name]
    return replace(subject, case=replace(subject.case, image=(12, 13)))


@pytest.mark.parametrize("subject", SMALL_SUBJECTS, ids=lambda subject: subject.name)
def test_in_strips_it_is_what_the_backend_computes_at_once(subject, monkeypatch):
    monkeypatch.setattr(accuracy, "_STRIP_BYTES", 1e5)
    backend = UnfoldBackend()
    given = {name: tensor.double() for name, tensor in subject.tensors().items()}
    found = subject.outputs(partial(accuracy.oracle_of(subject), backend=backend), given)
    expected = subject.outputs(subject.run(backend), given)
    assert list(found) == ["output", *subject.differentiated]
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-10, atol=1e-10)


def test_float32_is_as_far_from_float64_as_it_should_be():
    errors = accuracy.relative_errors(tiny("W1-small"), UnfoldBackend(), UnfoldBackend())
    assert list(errors) == ["output", "input", "guide", "weight", "bias"]
    assert 0 < max(errors.values()) < 2e-6
    assert accuracy.worst(errors, forward=True) == errors["output"]
    assert accuracy.worst(errors, forward=False) == max(errors.values())


def test_gradients_of_the_layer_are_to_unary_and_filter():
    (subject,) = (subject for subject in SUBJECTS if subject.layer)
    assert subject.name == "W3"
    assert subject.differentiated == ("unary", "weight_0")
    assert subject.layer.messages[0].flops("forward") == subject.case.flops("forward")
    assert subject.layer.messages[0].window == subject.case.window


def test_variants_are_taller_and_have_more_taps():
    found = extra_memory.variants(BY_NAME["W1-small"])
    assert {name: (one.case.image, one.case.window.kernel_size) for name, one in found.items()} == {
        "W1-small": ((48, 48), (5, 5)),
        "W1-small-taller": ((96, 48), (5, 5)),
        "W1-small-wider-window": ((48, 48), (9, 9)),
    }
    assert extra_memory.named("W1-small-taller").output_shape == (1, 32, 96, 48)
    assert extra_memory.named("W1-small-wider-window").output_shape == (1, 32, 48, 48)


def test_one_update_is_a_call_of_its_own():
    update = extra_memory.named("W3-small-one-update")
    found = update.outputs(update.run(UnfoldBackend()), update.tensors())
    assert list(found) == ["output", "base", "beliefs", "weight"]
    assert tuple(found["output"].shape) == update.output_shape


def test_memory_beyond_inputs_and_outputs_is_that_of_the_copies():
    found = parts.memory(BY_NAME["W1-small"], "forward", "unfold", with_variants=True)["metrics"]
    copies = 25 * 32 * 48 * 48 * 4
    assert found["extra_memory_mb_per_thread"] * torch.get_num_threads() * 1e6 > copies
    assert found["memory_growth_with_height"] == pytest.approx(2, rel=0.2)
    assert found["memory_growth_with_taps"] == pytest.approx(81 / 25, rel=0.2)


def test_a_process_that_fails_is_named_with_its_last_words():
    with pytest.raises(parts.ChildError, match="extra_memory no-such-case forward unfold: exit code 1: KeyError"):
        parts._extra("no-such-case", "forward", "unfold")


def test_the_kept_heap_is_taken_from_a_process_again():
    kept = with_allocator(os.environ, KEPT)
    assert kept["MALLOC_MMAP_MAX_"] == "0"
    assert not [name for name in without_kept_heap(kept) if name.startswith("MALLOC_")]


def test_threads_are_set_back():
    before = torch.get_num_threads()
    found = scaling.seconds_by_threads(tiny("W1-small"), "forward", UnfoldBackend(), (1, 2), 1)
    assert set(found) == {1, 2}
    assert torch.get_num_threads() == before


def test_time_per_pixel_is_measured_for_each_size():
    found = scaling.seconds_per_pixel(tiny("W1-small"), "forward_backward", UnfoldBackend(), (8, 12), 1)
    assert set(found) == {8, 12}
    assert min(found.values()) > 0
    assert scaling.spread_percent([2.0, 3.0, 2.5]) == 50


def test_the_twin_has_the_same_branches_and_as_many_numbers_to_learn():
    pac, plain = PacJointUpsample(8), PlainTwin(8)
    shapes = [{name: tuple(value.shape) for name, value in one.state_dict().items()} for one in (pac, plain)]
    assert shapes[0] == shapes[1]
    plain(torch.rand(1, 1, 2, 3), torch.rand(1, 3, 16, 24)).sum().backward()
    assert all(float(parameter.grad.abs().sum()) > 0 for parameter in plain.branch_g.parameters())


@pytest.mark.parametrize("direction", ["forward", "forward_backward"])
def test_the_twin_is_timed_in_turns_and_its_memory_measured(direction):
    found = parts.upsampling(TWINS["quick"], direction, UnfoldBackend(), "unfold", 3)
    metrics = found["metrics"]
    assert len(found["samples_s"]) == len(found["per_item"]) == 3
    assert metrics["ratio_to_plain"] == pytest.approx(metrics["ms"] / metrics["plain_ms"])
    assert metrics["memory_share_of_against"] == pytest.approx(metrics["peak_mb"] / metrics["against_peak_mb"])
    assert metrics["peak_mb"] > metrics["plain_peak_mb"] > 0
    assert metrics["peak_mb"] * 1e6 > 25 * 32 * 48 * 64 * 4  # the copies of the last doubling


def test_a_training_step_learns():
    step = TWINS["quick"].call(None, "forward_backward")
    before, after = step(), step()
    assert float((before - after).abs().max()) > 0


def test_only_a_backend_with_instruction_sets_is_asked_for_them():
    with pytest.raises(parts.NotMeasurableError, match="got backend unfold, expected native"):
        parts.instruction_sets(BY_NAME["W1-small"], "unfold", 1)


def test_the_lattice_is_compared_by_one_thread_and_by_two():
    subject = BY_NAME["W3-small"]
    if reasons := [*subjects.full_crf_reasons(), *FullCRF.unavailable_reasons()]:
        pytest.skip("; ".join(reasons))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = parts.lattice(subject, get_backend("native"), 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    metrics = found["metrics"]
    for name in ("1_thread", "2_threads"):
        ratio = metrics["lattice_pydensecrf2_ms"] / metrics[f"lattice_{name}_ms"]
        assert metrics[f"lattice_times_faster_on_{name}"] == pytest.approx(ratio)
    assert list(found["per_item"]) == ["sample 0", "sample 1"]
    with pytest.raises(parts.NotMeasurableError, match="got W1-small, expected the messages of a CRF"):
        parts.lattice(BY_NAME["W1-small"], get_backend("native"), 1)


def test_a_plan_takes_the_cases_and_parts_that_were_asked_for():
    plan, path = interleaved.plan_of(
        ["--backend=unfold", "--profile=quick", "--cases=W4", "--parts=memory,time", "--output=records"]
    )
    assert [subject.name for subject in plan.subjects] == ["W4-small", "W4b-small"]
    assert (plan.parts, plan.against, plan.turns, path) == (("time", "memory"), None, 3, Path("records"))
    plan, _ = interleaved.plan_of(["--backend=native", "--against=unfold", "--turns=7", "--output=records"])
    assert plan.subjects == SUBJECTS
    assert (plan.parts, plan.against, plan.turns) == (interleaved.PARTS, "unfold", 7)
    assert plan.twin is TWINS["standard"]
    plan, _ = interleaved.plan_of(["--backend=native", "--cases=W1", "--output=records"])
    assert plan.twin is None


def test_a_case_that_fails_is_a_record_and_the_rest_goes_on(tmp_path):
    recorder = interleaved.Recorder(tmp_path / "records", "unfold")
    with recorder.case("time", BY_NAME["W1-small"], "forward"):
        raise ValueError("no such thing")
    with recorder.case("isa", BY_NAME["W1-small"], "forward"):
        raise parts.NotMeasurableError("one instruction set only")
    with recorder.case("time", BY_NAME["W2-small"], "forward") as fields:
        fields["metrics"] = {"ms": 1.0}
    found = [(line.case, line.outcome, line.reason) for line in read_lines(tmp_path / "records")]
    assert found == [
        ("time[W1-small-forward]", "failed", "ValueError: no such thing"),
        ("isa[W1-small-forward]", "skipped", "one instruction set only"),
        ("time[W2-small-forward]", "passed", None),
    ]


@pytest.mark.parametrize("cases", ["nosuch", "W1,nosuch"])
def test_a_case_that_there_is_not_is_wrong_use(cases, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["pacbench", "bench", "--interleaved", "--backend=unfold", "--profile=quick", f"--cases={cases}"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("pacbench: case: got 'nosuch', expected one of PJU8-small, W1-small, ")
    assert not list(tmp_path.iterdir())


def test_parts_of_cases_are_known():
    options = {"reference": None, "methods": None, "parts": None, "turns": None, "allocator": KEPT}
    plan = interleaved_plan(["unfold"], None, cases=["W4-", "PJU8"], profile="quick", **options)
    assert plan.cases == ("W4-", "PJU8")
    with pytest.raises(UnknownNameError):
        interleaved_plan(["unfold"], None, cases=["W4-small"], profile="standard", **options)


def test_parts_that_the_cases_do_not_have_are_a_failure(tmp_path, monkeypatch):
    green = SimpleNamespace(gate={"unfold": GateState(True, passed=1, total=1)})
    monkeypatch.setattr(command, "run_gate", lambda *_, **__: (green, 0))
    plan = InterleavedPlan("unfold", None, ("W2",), ("sizes", "upsampling"), "quick", 1, KEPT)
    said = (
        "--cases W2, --parts sizes,upsampling: nothing was measured, since none of these cases has one of these parts"
    )
    with pytest.raises(RunError, match=f"^{said}$"):
        run_interleaved(plan, tmp_path, timeout_s=300)


def test_every_part_is_in_the_help():
    (found,) = [command for command in command_line.app.registered_commands if command.name == "bench"]
    (option,) = get_type_hints(found.callback, include_extras=True)["parts"].__metadata__
    named = option.help.partition("only ")[2].rstrip(".").replace(" or ", ", ").split(", ")
    assert tuple(named) == interleaved.PARTS


def test_the_command_measures_in_small_and_leaves_records_and_tables(tmp_path, capfd):
    plan = InterleavedPlan(
        "unfold", None, ("W3", "W4-", "PJU8"), ("time", "accuracy", "threads", "isa", "upsampling"), "quick", 1, KEPT
    )  # fmt: skip
    assert run_interleaved(plan, tmp_path, timeout_s=300) == 0
    machine, environment, *found = read_lines(tmp_path / "interleaved.jsonl")
    assert isinstance(machine, CaseRecord)
    assert 0 <= machine.metrics["busy_percent"] <= 100
    assert isinstance(environment, Environment)
    assert "MALLOC_MMAP_MAX_=0" in environment.allocator
    records = {line.case: line for line in found if isinstance(line, CaseRecord)}
    assert set(records) == {
        f"{part}[{name}-{direction}]"
        for part in ("time", "accuracy")
        for name in ("W3-small", "W4-small")
        for direction in ("forward", "forward_backward")
    } | {f"upsampling[PJU8-small-{direction}]" for direction in ("forward", "forward_backward")}
    for record in records.values():
        assert record.outcome == "passed", record.reason
        assert record.metrics
        assert all(math.isfinite(value) for value in record.metrics.values())
    timed = records["time[W4-small-forward]"]
    assert len(timed.samples_s) == 1
    assert timed.metrics["ms"] == pytest.approx(timed.samples_s[0] * 1e3)
    assert timed.per_item["sample 0"]["backend_s"] == timed.samples_s[0]
    told = (tmp_path / "interleaved.txt").read_text()
    assert "W4-small" in told
    assert "PJU8-small" in told
    assert "for the plain twin" in told
    printed = capfd.readouterr().out
    assert "Interleaved samples" in printed
    assert str(tmp_path / "interleaved.jsonl") in printed
