"""The rows of the upsampling table: each method, where it comes from, and the scalars that are tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from pacbench.backend import Backend

from .guided_filter import GuidedFilter
from .interpolation import aligned_bilinear, interpolation
from .joint_bilateral import JointBilateral, TapByTap
from .sampling import LowResolution

Scalars = Mapping[str, float]
Upsampler = Callable[[LowResolution], Tensor]
"""From the samples to (1, 1, H, W)."""


@dataclass(frozen=True, eq=False)
class Method:
    """One row of the table.

    Attributes:
        name: As it is asked for.
        title: As it is told.
        source: Where it was published.
        build: From the scalars and a backend. Without a backend, a method that uses one is evaluated directly:
            tuning does so, since it wants the same numbers many times and no timing.
        note: What a reader of the row must know.
        grid: The values that tuning may choose for each scalar.
        start: What is timed: one of the grid's values each.
        uses_backend: Whether the backend under test computes it.
    """

    name: str
    title: str
    source: str
    build: Callable[[Scalars, Backend | None], Upsampler]
    note: str
    grid: Mapping[str, Sequence[float]]
    start: Scalars
    uses_backend: bool


def _without_scalars(upsampler: Upsampler) -> Callable[[Scalars, Backend | None], Upsampler]:
    return lambda _scalars, _backend: upsampler


def _guided_filter(scalars: Scalars, backend: Backend | None) -> Upsampler:  # noqa: ARG001 (one signature for all)
    return GuidedFilter(scalars["radius_in_samples"], scalars["eps"])


def _joint_bilateral(scalars: Scalars, backend: Backend | None) -> Upsampler:
    if backend is None:
        return TapByTap(scalars["colour_sigma"], scalars["spatial_sigma"])
    return JointBilateral(scalars["colour_sigma"], scalars["spatial_sigma"], backend)


_TORCH = "torch.nn.functional.interpolate"
_CENTRES = "the guide is not looked at; align_corners=False assumes samples at the centres of f x f blocks"

METHODS: tuple[Method, ...] = (
    Method(
        "nearest",
        "Nearest",
        _TORCH,
        _without_scalars(interpolation("nearest")),
        "the guide is not looked at",
        {},
        {},
        uses_backend=False,
    ),
    Method(
        "bilinear",
        "Bilinear",
        _TORCH,
        _without_scalars(interpolation("bilinear")),
        f"{_CENTRES}, as in the published tables",
        {},
        {},
        uses_backend=False,
    ),
    Method(
        "bicubic",
        "Bicubic",
        _TORCH,
        _without_scalars(interpolation("bicubic")),
        _CENTRES,
        {},
        {},
        uses_backend=False,
    ),
    Method(
        "bilinear_aligned",
        "Bilinear at the samples' true positions",
        "torch.nn.functional.grid_sample",
        _without_scalars(aligned_bilinear),
        "the guide is not looked at; samples are taken to lie where they were read, at (f - 1) // 2 of each block",
        {},
        {},
        uses_backend=False,
    ),
    Method(
        "guided_filter",
        "Guided filter",
        "He, Sun & Tang, Guided Image Filtering, ECCV 2010 (OpenCV's cv2.ximgproc.guidedFilter)",
        _guided_filter,
        "by OpenCV, on the CPU whatever the backend is, on the row bilinear_aligned",
        {"radius_in_samples": (0.5, 1.0, 2.0), "eps": (1e-4, 1e-3, 1e-2, 1e-1)},
        {"radius_in_samples": 1.0, "eps": 1e-2},
        uses_backend=False,
    ),
    Method(
        "joint_bilateral",
        "Joint bilateral upsampling",
        "Kopf et al., Joint Bilateral Upsampling, SIGGRAPH 2007",
        _joint_bilateral,
        "by the backend's transposed operator",
        {"colour_sigma": (10.0, 15.0, 20.0, 30.0, 45.0), "spatial_sigma": (0.5, 0.75, 1.0, 1.5)},
        {"colour_sigma": 20.0, "spatial_sigma": 0.75},
        uses_backend=True,
    ),
)
