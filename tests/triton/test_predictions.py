"""What is predicted of the kernels, and how far what a GPU took is from it: the table of docs/triton_backend.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pacbench.backends.triton import predicting
from pacbench.backends.triton.configurations import STAGES
from pacbench.backends.triton.launching import PRODUCTS
from pacbench.backends.triton.workloads import Workload, launches
from pacbench.resources import predict
from pacbench.suites.operators.cases import CASES, OperatorCase

pytestmark = pytest.mark.usefixtures("needs_triton")

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "reports" / "reference"
MEASURED = REFERENCE / "gpu_h200_second_run" / "device_times.jsonl"
TILES = REFERENCE / "gpu_h200_third_run" / "tiles.jsonl"
PAGE = ROOT / "docs" / "triton_backend.md"
GPU, TARGET = "H200", "sm_90"
OPERATORS = {
    "guided_pacconv2d": "conv",
    "guided_pacpool2d": "pool",
    "guided_pacconv_transpose2d": "transposed",
}


def test_only_products_are_computed_by_tensor_cores() -> None:
    """The adapting kernel, its gradients and sums without a filter of their own are float32 beside 16-bit tensors."""
    found = list(predicting.works())
    elsewhere = [work for work in found if work.part.split()[0] not in PRODUCTS]
    assert {work.part.split()[0] for work in found} >= {*PRODUCTS, "gathered_sum", "tap_gradient"}
    assert {work.precision for work in elsewhere} == {"float32", "float64"}
    assert any(work.part == "gathered_sum forwards beside bfloat16" for work in elsewhere)
    assert {work.precision for work in found} == {"tf32", "float32", "bfloat16", "float16", "float64"}


def predicted(case: OperatorCase, dtype: str) -> tuple[float, float]:
    """Least microseconds of a case's kernels on the GPU that measured it, forwards and backwards."""
    workload = Workload(
        case.name, OPERATORS[case.operator], case.channels, case.image, case.window.kernel_size[0], (dtype,),
        stride=case.window.stride[0], guide=case.guide_channels,
    )  # fmt: skip
    assert workload.window == case.window
    forwards, *backwards = (
        predict(predicting.work(launch, case.name, dtype), GPU).seconds * 1e6
        for launch in launches(workload, dtype, TARGET)
    )
    return forwards, sum(backwards)


def has_the_tiles_of_today(found: dict[str, Any]) -> bool:
    """Whether every kernel of a measurement was compiled as deep as it is by default."""
    return all(tile["stages"] == STAGES.get((kernel, found["dtype"], 4)) for kernel, tile in found["tiles"].items())


def table() -> list[str]:
    """The rows of the page, by the model of today and the committed measurements, in float32 and tf32."""
    rows = []
    cases = {case.name: case for case in CASES}
    tried = [json.loads(line) for line in TILES.read_text(encoding="utf-8").splitlines()]
    today = {(found["case"], found["dtype"]): found for found in tried if has_the_tiles_of_today(found)}
    for line in MEASURED.read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        case, dtype = cases.get(found["case"]), found["dtype"]
        if case is None or found["backend"] != "triton" or dtype == "bfloat16" or (case.pooling and dtype == "tf32"):
            continue
        found = today.get((case.name, dtype), found)
        cells = [case.name, dtype]
        for least, took in zip(predicted(case, dtype), (found["forward_us"], found["backward_us"]), strict=True):
            cells += [f"{least:.1f}", f"{took:.0f}", f"{took / least:.1f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def test_the_page_has_the_error_of_each_prediction() -> None:
    rows = table()
    assert len(rows) == 8
    missing = [row for row in rows if row not in PAGE.read_text(encoding="utf-8").splitlines()]
    assert not missing, "the table of docs/triton_backend.md is to be:\n" + "\n".join(rows)
