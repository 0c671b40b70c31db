"""The work of each launch, by arithmetic on its arguments: FLOPs and the bytes that it must move."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from pacbench.resources import Work

from .launching import PRODUCTS, PlannedLaunch
from .workloads import WORKLOADS, launches

TARGET = "sm_90"
"""The launches counted are those for this target; their work is the same on every GPU."""

_DIV, _TAPS = 2, 0


def works() -> Iterator[Work]:
    """The work of every launch of every workload, in each dtype."""
    for workload in WORKLOADS:
        for dtype in workload.dtypes:
            for launch in launches(workload, dtype, TARGET):
                yield work(launch, workload.name, dtype)


def work(launch: PlannedLaunch, workload: str, dtype: str) -> Work:
    """The work of one launch; only matrix products are computed in the dtype, by tensor cores."""
    part = launch.kernel
    if launch.arguments.get("FORWARD") is not None:
        part += " forwards" if launch.arguments["FORWARD"] else " backwards"
    precision = dtype
    if launch.kernel not in PRODUCTS and dtype not in ("float64", "float32"):
        precision = "float32"
        part += f" beside {dtype}"
    return Work(workload, part, precision, flops(launch), bytes_moved(launch))


def bytes_moved(launch: PlannedLaunch) -> int:
    """Bytes of every tensor that the launch reads or writes, once each."""
    tensors = {id(value): value for value in launch.arguments.values() if isinstance(value, Tensor)}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def pixels(launch: PlannedLaunch) -> int:
    """Pixels of one image that the launch computes."""
    arguments = launch.arguments
    for height, width in (("target_height", "target_width"), ("near_height", "near_width"), ("height", "width")):
        if height in arguments:
            return int(arguments[height] * arguments[width])
    return 1


def flops(launch: PlannedLaunch) -> int:
    """Multiplications and additions of the products and of the adapting kernel; an exponential counts as one."""
    arguments, rows, columns = launch.arguments, launch.arguments["ROWS"], launch.arguments["COLUMNS"]
    pairs = pixels(launch) * rows[_TAPS] * columns[_TAPS]
    if launch.kernel in ("gather_contraction", "gathered_sum"):
        pairs //= rows[_DIV] * columns[_DIV]  # only taps that meet a pixel are visited
    guide = 0 if arguments.get("FORM") == 2 or "FORM" not in arguments else arguments["guide_channels"]
    adapting = 3 * guide + 2 if guide else 0
    inner: int
    if launch.kernel == "gather_contraction":
        inner = arguments["source_channels"] * (2 * arguments["target_channels"] + 1)
    elif launch.kernel in ("kernel_gradient", "weight_gradient"):
        inner = arguments["far_channels"] * (2 * arguments["near_channels"] + 2)
    elif launch.kernel in ("gathered_sum", "sum_gradient"):
        inner = 2 * arguments["channel_count"]
    elif launch.kernel in ("centre_gradient", "tap_gradient"):
        inner = 4 * arguments["guide_channels"] + 4
    else:
        inner = 0
    return int(pairs * (inner + adapting))
