"""What a piece of work takes at the least on a GPU: by its FLOPs, or by the bytes that it must move.

A prediction is arithmetic on published peaks. It is a bound and not a measurement, is always labelled *predicted*, and
stands in no table with measured numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Roofline:
    """Peaks of one GPU, as its data sheet gives them, dense.

    Attributes:
        bytes_per_s: Of its memory.
        flops_per_s: By how it multiplies: ``float64``, ``float32``, ``tf32``, ``bfloat16``, ``float16``.
    """

    bytes_per_s: float
    flops_per_s: Mapping[str, float]


ROOFLINES: Mapping[str, Roofline] = {
    "A100": Roofline(
        1.555e12,
        {"float64": 19.5e12, "float32": 19.5e12, "tf32": 156e12, "bfloat16": 312e12, "float16": 312e12},
    ),
    "H100": Roofline(
        3.35e12,
        {"float64": 67e12, "float32": 67e12, "tf32": 494.7e12, "bfloat16": 989.4e12, "float16": 989.4e12},
    ),
    "H200": Roofline(
        4.8e12,
        {"float64": 67e12, "float32": 67e12, "tf32": 494.7e12, "bfloat16": 989.4e12, "float16": 989.4e12},
    ),
}
"""NVIDIA A100 (SXM4, 40 GB), H100 (SXM5, 80 GB) and H200 (SXM), from NVIDIA's data sheets; float64 by tensor cores."""

REACHED: Mapping[str, float] = {"memory": 0.9, "float64": 0.81, "float32": 1.0, "tf32": 0.81, "bfloat16": 0.81,
                                "float16": 0.81}  # fmt: skip
"""Share of a peak that good kernels are seen to reach: large copies, large matrix products, plain FMA code."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a part of a workload must do.

    Attributes:
        workload: Such as ``conv5x5-32``.
        part: Which of its kernels.
        precision: How it multiplies.
        flops: Floating-point operations.
        bytes: Bytes of everything that it reads or writes, once each.
    """

    workload: str
    part: str
    precision: str
    flops: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The least time of some work on a GPU, and what limits it: ``memory`` or the precision's units."""

    gpu: str
    work: Work
    seconds: float
    limiter: str


def predict(work: Work, gpu: str) -> Prediction:
    """The larger of the times that memory and arithmetic take.

    Raises:
        KeyError: the GPU or the precision is not listed.
    """
    roof = ROOFLINES[gpu]
    by_memory = work.bytes / (roof.bytes_per_s * REACHED["memory"])
    by_arithmetic = work.flops / (roof.flops_per_s[work.precision] * REACHED[work.precision])
    if by_memory >= by_arithmetic:
        return Prediction(gpu, work, by_memory, "memory")
    return Prediction(gpu, work, by_arithmetic, work.precision)
