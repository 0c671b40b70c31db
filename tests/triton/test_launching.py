"""How a launch is made: as wide offsets as its tensors need, on the device that they are on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from pacbench.backends.triton import launching
from pacbench.backends.triton.configurations import candidates, widths_told
from pacbench.backends.triton.launching import Launch
from pacbench.backends.triton.workloads import BY_NAME, Workload, launches

pytestmark = pytest.mark.usefixtures("needs_triton")

SIDE = 9300
"""Of an image so large that the adapting kernel of 5 x 5 taps has 2^31 elements, and a channel far fewer."""


def offsets(operator: str, guide: int, side: int) -> dict[str, set[str]]:
    """Widths of the offsets that the launches of an operator and its gradients compute in, by kernel."""
    found: dict[str, set[str]] = {}
    workload = Workload("large", operator, 2, (side, side), 5, ("float32",), guide=guide)
    for launch in launches(workload, "float32", "sm_90"):
        kernel = launch.kernel
        if "FORWARD" in launch.arguments:
            kernel += " forwards" if launch.arguments["FORWARD"] else " backwards"
        found.setdefault(kernel, set()).add(str(launch.arguments["IDX"]))
    return found


@pytest.mark.parametrize(
    ("operator", "guide", "narrow"),
    [
        ("conv", 0, set()),
        ("pool", 0, set()),
        ("conv", 3, {"gather_contraction forwards", "gather_contraction backwards", "weight_gradient"}),
        ("kernel", 3, set()),
    ],
    ids=["kernel given", "kernel given, pooling", "gradient to the kernel", "kernel alone"],
)
def test_offsets_are_64_bits_wide_where_any_tensor_is_large(operator: str, guide: int, narrow: set[str]) -> None:
    """The adapting kernel, or its gradient, is the one tensor here that is: only what touches it pays for it."""
    found = offsets(operator, guide, SIDE)
    assert len(found) >= 2
    assert found == {kernel: {"int32" if kernel in narrow else "int64"} for kernel in found}
    assert set().union(*offsets(operator, guide, 64).values()) == {"int32"}


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.device | None, str]]:
    """The current device at each launch, and the kernel; nothing is run."""
    made: list[tuple[torch.device | None, str]] = []
    current: list[torch.device] = []

    @contextmanager
    def device(of: torch.device) -> Iterator[None]:
        current.append(of)
        yield
        current.pop()

    class Kernel:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
            def launch(**arguments: Any) -> None:
                assert grid[0] > 0
                made.append((current[-1] if current else None, self.name))

            return launch

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(launching, "kernel_named", Kernel)
    monkeypatch.setattr(launching, "kernel_told_widths", lambda name: Kernel(f"{name}, told widths"))
    monkeypatch.setattr(launching, "_device_name", str)
    return made


@pytest.mark.parametrize("number", [0, 1])
def test_a_launch_is_made_on_the_device_of_its_tensors(
    number: int, devices: list[tuple[torch.device | None, str]]
) -> None:
    """Whichever is the current one."""
    with FakeTensorMode():
        output = torch.empty(1, 3, 5, 7, device=f"cuda:{number}")
        Launch("gather_contraction", output, torch.float32).over((5, 7), 1, inner=3, outer=3).run(output=output)
    assert devices == [(torch.device("cuda", number), "gather_contraction, told widths")]


@pytest.mark.parametrize(
    ("kernel", "dtype", "told"),
    [
        ("gather_contraction", torch.float32, True),
        ("gather_contraction", torch.bfloat16, False),
        ("gather_contraction", torch.float16, False),
        ("kernel_gradient", torch.float32, False),
        ("gathered_sum", torch.float32, False),
    ],
)
def test_the_compiler_is_told_of_widths_where_that_was_faster(
    kernel: str, dtype: torch.dtype, told: bool, devices: list[tuple[torch.device | None, str]]
) -> None:
    with FakeTensorMode():
        output = torch.empty(1, 32, 16, 16, device="cuda:0", dtype=dtype)
        Launch(kernel, output, torch.float32).over((16, 16), 1, inner=32, outer=32).run(output=output)
    assert [name for _, name in devices] == [f"{kernel}, told widths" if told else kernel]


def test_launches_are_planned_as_they_are_made() -> None:
    planned = {
        (launch.kernel, dtype): launch.widths_told
        for dtype in ("tf32", "float32", "bfloat16", "float64")
        for launch in launches(BY_NAME["conv5x5-32"], dtype, "sm_90")
    }
    told = {kernel for kernel, told in planned.items() if told}
    assert told == {
        ("gather_contraction", "float32"), ("weight_gradient", "float32"), ("gather_contraction", "float64"),
    }  # fmt: skip


def test_pipelines_are_as_deep_as_was_fastest() -> None:
    """Measured: none in tf32, and two stages in a transposed convolution in float32."""
    stages = {
        (operator, dtype): launches(workload, dtype, "sm_90")[0].tile.stages
        for operator in ("conv", "transposed")
        for dtype in ("float32", "tf32")
        for workload in [Workload("any", operator, 32, (128, 128), 5, (dtype,), stride=1 + (operator == "transposed"))]
    }
    assert stages == {
        ("conv", "float32"): 3, ("conv", "tf32"): 1, ("transposed", "float32"): 2, ("transposed", "tf32"): 1,
    }  # fmt: skip


def test_a_tile_without_a_pipeline_is_not_told_of_widths() -> None:
    tile = candidates("gather_contraction", "ieee", 4, 32, 32, 5, "sm_90")[0]
    assert widths_told("gather_contraction", tile, 4)
    assert not widths_told("gather_contraction", tile._replace(stages=1), 4)


def test_an_empty_grid_is_no_launch(devices: list[tuple[torch.device | None, str]]) -> None:
    with FakeTensorMode():
        output = torch.empty(0, 3, 5, 7, device="cuda:0")
        Launch("gathered_sum", output, torch.float32).over((5, 7), 0, inner=3).run(output=output)
    assert devices == []
