"""The performance targets: floors by counting, judging by hand-made figures, and tables that say all of it."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pacbench.commands.table_console import WIDTH
from pacbench.records import CaseRecord, Environment
from pacbench.suites.operators.cases import CASES, SMALL_CASES, OperatorCase
from pacbench.suites.operators.floors import kernel_values, pooling_floor_s, useful_floor_s, useful_flops
from pacbench.suites.operators.interleaving import Samples, figures
from pacbench.suites.operators.subjects import SUBJECTS
from pacbench.suites.operators.targets import TARGETS, UPSAMPLING, WORKLOADS, Judgement, Target, judge
from pacbench.suites.operators.targets_table import COLUMNS, FIGURES, figures_of, tables

BY_NAME = {case.name: case for case in CASES + SMALL_CASES}
SUBJECT = {subject.name: subject for subject in SUBJECTS}


def taps_by_counting(case: OperatorCase, *, inside: bool) -> int:
    """Pairs of an output pixel and a tap, one by one."""
    (height, width), window = case.image, case.window
    count = 0
    for row in range(height):
        for column in range(width):
            for i in range(window.kernel_size[0]):
                for j in range(window.kernel_size[1]):
                    y = row - window.padding[0] + i * window.dilation[0]
                    x = column - window.padding[1] + j * window.dilation[1]
                    count += not inside or (0 <= y < height and 0 <= x < width)
    return count


@pytest.mark.parametrize("name", ["W1", "W3", "W4b"])
def test_useful_taps_and_kernel_values_are_those_counted_one_by_one(name):
    case = replace(BY_NAME[f"{name}-small"], image=(13, 17))
    per_tap = 2 * case.channels * (1 if case.pooling else case.outputs) * max(case.messages, 1)
    assert useful_flops(case, "forward") == pytest.approx(per_tap * taps_by_counting(case, inside=True))
    assert useful_flops(case, "forward_backward") == pytest.approx(3 * useful_flops(case, "forward"))
    assert kernel_values(case) == taps_by_counting(case, inside=False)


def test_the_floor_of_the_messages_is_that_of_the_useful_taps():
    # 83 % of the taps at dilation 32 lie inside an image of 375 x 500.
    floor = useful_floor_s(BY_NAME["W3"], "forward", 228.0)
    assert floor == pytest.approx(0.0907 * 0.83, rel=0.01)
    assert useful_floor_s(BY_NAME["W3"], "forward_backward", 228.0) == pytest.approx(3 * floor)


def test_the_floor_of_a_pooling_is_its_products_and_its_kernel_values():
    pairs = 25 * 375 * 500
    expected = 2 * 21 * pairs / 228e9 + pairs * 0.3e-9
    assert pooling_floor_s(BY_NAME["W4"], 228.0, 0.3e-9) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"got case W1 \(guided_pacconv2d\), expected a pooling"):
        pooling_floor_s(BY_NAME["W1"], 228.0, 0.3e-9)


def test_figures_are_of_medians():
    samples = Samples(
        seconds={"backend": [0.2, 0.1, 9.0], "plain": [0.1, 0.1, 0.1], "against": [4.0]}, fma=[1e11, 2e11, 3e11]
    )
    found = figures(SUBJECT["W1"], "forward", samples)
    gflops = BY_NAME["W1"].flops("forward") / 0.2 * 1e-9
    assert found == pytest.approx(
        {
            "ms": 200, "gflops": gflops, "plain_ms": 100, "ratio_to_plain": 2, "against_ms": 4000,
            "times_faster_than_against": 20, "fma_peak_gflops": 200, "percent_of_fma_peak": gflops / 2,
        }
    )  # fmt: skip


def test_figures_of_poolings_and_messages_have_their_floors():
    samples = Samples(seconds={"backend": [0.5], "full_crf": [1.0]}, fma=[2e11], kernel_values=[4e9])
    pooling = figures(SUBJECT["W4"], "forward", samples)
    assert pooling["kernel_value_ns"] == pytest.approx(0.25)
    floor = pooling_floor_s(BY_NAME["W4"], 200.0, 0.25e-9)
    assert pooling["percent_of_pooling_floor"] == pytest.approx(100 * floor / 0.5)
    assert "percent_of_pooling_floor" not in figures(SUBJECT["W4"], "forward_backward", samples)
    messages = figures(SUBJECT["W3"], "forward", samples)
    assert messages["percent_of_useful_floor"] == pytest.approx(messages["percent_of_fma_peak"])
    assert messages["times_faster_than_full_crf"] == 2
    assert figures(SUBJECT["W1"], "forward", Samples()) == {}


@pytest.mark.parametrize(
    ("comparison", "value", "met"),
    [(">=", 82.0, True), (">=", 81.9, False), ("<=", 82.0, True), ("<=", 82.1, False), (">=", None, None)],
)
def test_a_target_is_met_missed_or_not_measured(comparison, value, met):
    assert Judgement(Target("W1", "forward", "percent_of_fma_peak", comparison, 82), value).met is met


def test_every_target_is_of_a_known_workload_and_can_be_written():
    assert {target.workload for target in TARGETS} == {*WORKLOADS, UPSAMPLING}
    assert {target.figure for target in TARGETS} == set(FIGURES)
    assert len({target.key for target in TARGETS}) == len(TARGETS)


def test_figures_are_found_by_workload_direction_and_name():
    bars = [
        Target("W1", "forward", "percent_of_fma_peak", ">=", 82),
        Target("W4b", "forward", "relative_error", "<=", 1e-6),
    ]
    lines = [record("time", "W1", {"percent_of_fma_peak": 80.0}), record("accuracy", "W4b", {"relative_error": 1e-7})]
    assert [one.met for one in judge(figures_of(lines), bars)] == [False, True]
    failed = record("time", "W1", {"percent_of_fma_peak": 99.0}, outcome="failed", reason="wrong")
    assert judge(figures_of([failed]), bars)[0].met is None, "what failed has no number"


def record(part: str, workload: str, metrics: dict[str, float], **rest: object) -> CaseRecord:
    fields = {
        "job": "interleaved", "suite": "operators", "case": f"{part}[{workload}-forward]", "backend": "native",
        "round": 0, "outcome": "passed", "direction": "forward", "metrics": metrics, **rest,
    }  # fmt: skip
    return CaseRecord.model_validate(fields)


def told(lines: list[object]) -> str:
    console = Console(width=WIDTH, file=io.StringIO())
    for table in tables(lines, against="unfold"):
        console.print(table)
    return console.file.getvalue()


def test_the_tables_say_what_was_measured_beside_the_target():
    environment = Environment(
        pacbench="0", package_hash="a", python="3", platform="p", processor="a processor", cores=2, memory_bytes=1,
        threads=2, torch="2", cpu_capability="AVX512", allocator="glibc 2.36, MALLOC_MMAP_MAX_=0",
    )  # fmt: skip
    lines = [
        environment,
        record("time", "W1", {"ms": 17.2, "percent_of_fma_peak": 83.25, "ratio_to_plain": 1.02}),
        record("accuracy", "W1", {"relative_error": 2.3e-7}),
        record("sizes", "W1", {}, per_item={"128 x 128": {"ns_per_pixel": 0.26}}),
        record("isa", "W1", {}, outcome="skipped", reason="no AVX-512"),
        record("memory", "W1", {}, notes=["title", "what a reader must know"]),
    ]
    text = told(lines)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "W1 forward 17.2 83.2 1.02 2.3e-07" in rows
    assert "W1 forward % of the FMA peak 83.2 ≥ 82.0 met" in rows
    assert "W1 forward time / plain torch operator 1.02 ≤ 1.00 missed" in rows
    assert "W1 forward AVX2 time / AVX-512 time ≤ 1.25 not measured" in rows
    assert any(row.startswith("2 targets met, 1 missed, ") for row in rows)
    assert "W5" not in text, "nobody asked for it"
    for said in (
        "allocator: glibc 2.36, MALLOC_MMAP_MAX_=0", "isa[W1-forward]: skipped: no AVX-512",
        "sizes[W1-forward]: 128 x 128: 0.26 ns a pixel", "memory[W1-forward]: what a reader must know",
    ):  # fmt: skip
        assert said in text


def test_no_figure_is_cut_where_there_is_every_column():
    every = dict.fromkeys((name for _, names, _ in COLUMNS for name in names), 23456.0)
    text = told([record("time", "PJU8", {**every, "relative_error": 2.3e-7}, notes=["title"])])
    row = next(line for line in text.splitlines() if line.split()[:2] == ["PJU8", "forward"])
    cells = row.split()[2:]
    assert len(cells) == len(COLUMNS)
    assert cells[-1] == "2.3e-07"
    assert set(cells[:-1]) <= {"23456", "23456.0", "23456.00"}


@pytest.mark.parametrize(("busy", "said"), [(40.0, True), (1.0, False)])
def test_a_busy_machine_is_told(busy, said):
    machine = CaseRecord(
        job="interleaved", suite="operators", case="machine", backend="native", round=0, outcome="passed",
        metrics={"busy_percent": busy},
    )  # fmt: skip
    text = told([machine, record("time", "W1", {"ms": 1.0})])
    assert ("Other processes kept the processors 40 % busy" in text) is said


def test_small_images_are_not_judged():
    assert "no case of those was asked for" in told([record("time", "W1-small", {"ms": 1.0})])
