"""The rows of the upsampling table: each method, where it comes from, and the scalars that are tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from pacbench.backend import Backend
from pacbench.models.upsampling import NETWORKS
from pacbench.running.device import device_of

from .bilateral_solver import BilateralSolver
from .guided_filter import GuidedFilter
from .interpolation import aligned_bilinear, interpolation
from .joint_bilateral import JointBilateral, TapByTap
from .sampling import LowResolution

Scalars = Mapping[str, float]
Upsampler = Callable[[LowResolution], Tensor]
"""From the samples to (1, C, H, W)."""


@dataclass(frozen=True, eq=False)
class Method:
    """One row of the table.

    Attributes:
        name: As it is asked for.
        title: As it is told.
        source: Where it was published.
        build: From the scalars and a backend; a learned method is built by `networks` instead. Without a backend, a
            method that uses one is evaluated directly: tuning does so, since it wants the same numbers many times and
            no timing.
        note: What a reader of the row must know.
        grid: The values that tuning may choose for each scalar.
        start: What is timed: one of the grid's values each.
        uses_backend: Whether the backend under test computes it.
        learned: Whether it is a network.
        first_sample: Where its first sample lies, if not where the protocol says.
    """

    name: str
    title: str
    source: str
    build: Callable[[Scalars, Backend | None], Upsampler]
    note: str
    grid: Mapping[str, Sequence[float]] = field(default_factory=dict)
    start: Scalars = field(default_factory=dict)
    uses_backend: bool = False
    learned: bool = False
    first_sample: int | None = None

    def device(self, backend: Backend) -> str:
        """Where it runs: where the backend does, if it uses it or is a network, else on the CPU."""
        return device_of(backend) if self.uses_backend or self.learned else "cpu"


def _without_scalars(upsampler: Upsampler) -> Callable[[Scalars, Backend | None], Upsampler]:
    return lambda _scalars, _backend: upsampler


def _guided_filter(scalars: Scalars, backend: Backend | None) -> Upsampler:  # noqa: ARG001 (one signature for all)
    return GuidedFilter(scalars["radius_in_samples"], scalars["eps"])


def _joint_bilateral(scalars: Scalars, backend: Backend | None) -> Upsampler:
    if backend is None:
        return TapByTap(scalars["colour_sigma"], scalars["spatial_sigma"])
    return JointBilateral(scalars["colour_sigma"], scalars["spatial_sigma"], backend)


def _bilateral_solver(scalars: Scalars, backend: Backend | None) -> Upsampler:  # noqa: ARG001 (one signature for all)
    return BilateralSolver(scalars["colour_sigma"], scalars["smoothness"])


def _learned(scalars: Scalars, backend: Backend | None) -> Upsampler:
    raise NotImplementedError("a learned method is built by networks.with_weights or networks.untrained")


_TORCH = "torch.nn.functional.interpolate"
_CENTRES = "the guide is not looked at; align_corners=False assumes samples at the centres of f x f blocks"

_UNTRAINED = (
    Method("nearest", "Nearest", _TORCH, _without_scalars(interpolation("nearest")), "the guide is not looked at"),
    Method(
        "bilinear",
        "Bilinear",
        _TORCH,
        _without_scalars(interpolation("bilinear")),
        f"{_CENTRES}, as in the published tables",
    ),
    Method("bicubic", "Bicubic", _TORCH, _without_scalars(interpolation("bicubic")), _CENTRES),
    Method(
        "bicubic_top_left",
        "Bicubic, samples at the top left",
        _TORCH,
        _without_scalars(interpolation("bicubic")),
        f"{_CENTRES}, but here they lie at the top left pixel of each: the published bicubic figures (8.16, 14.22, "
        "22.32 cm on NYU Depth V2) are of such samples, those of bilinear are not",
        first_sample=0,
    ),
    Method(
        "bilinear_aligned",
        "Bilinear at the samples' true positions",
        "torch.nn.functional.grid_sample",
        _without_scalars(aligned_bilinear),
        "the guide is not looked at; samples are taken to lie where they were read, at (f - 1) // 2 of each block",
    ),
    Method(
        "guided_filter",
        "Guided filter",
        "He, Sun & Tang, Guided Image Filtering, ECCV 2010 (OpenCV's cv2.ximgproc.guidedFilter)",
        _guided_filter,
        "by OpenCV, on the CPU whatever the backend is, on the row bilinear_aligned",
        {"radius_in_samples": (0.125, 0.25, 0.5, 1.0, 2.0), "eps": (1e-3, 1e-2, 1e-1)},
        {"radius_in_samples": 1.0, "eps": 1e-2},
    ),
    Method(
        "joint_bilateral",
        "Joint bilateral upsampling",
        "Kopf et al., Joint Bilateral Upsampling, SIGGRAPH 2007",
        _joint_bilateral,
        "by the backend's transposed operator",
        {
            "colour_sigma": (10.0, 15.0, 20.0, 30.0, 45.0, 70.0, 100.0, 150.0),
            "spatial_sigma": (0.3, 0.4, 0.5, 0.75, 1.0, 1.5),
        },
        {"colour_sigma": 20.0, "spatial_sigma": 0.75},
        uses_backend=True,
    ),
    Method(
        "bilateral_solver",
        "Fast bilateral solver",
        "Barron & Poole, The Fast Bilateral Solver, ECCV 2016",
        _bilateral_solver,
        "on scipy.sparse, on the CPU whatever the backend is; target: the row bilinear_aligned",
        {"colour_sigma": (4.0, 8.0, 16.0, 32.0), "smoothness": (0.5, 2.0, 8.0, 32.0, 128.0)},
        {"colour_sigma": 4.0, "smoothness": 8.0},
    ),
)

METHODS: tuple[Method, ...] = _UNTRAINED + tuple(
    Method(
        name,
        network.title,
        network.source,
        _learned,
        "its pixel-adaptive operators by the backend" if network.uses_backend else "by torch, whatever the backend is",
        uses_backend=network.uses_backend,
        learned=True,
    )
    for name, network in NETWORKS.items()
)
