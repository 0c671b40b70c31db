"""What CRFs on the permutohedral lattice share: options and their checks, set-up of images, and the batch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from pacbench.backend import Backend
from pacbench.crf.edge_features import create_position_feats
from pacbench.crf.lattice import PermutohedralLattice, lattice_unavailable_reasons

FinalOutput = Literal["softmax", "log_Q"]

Prepared = TypeVar("Prepared")
"""A lattice with what a CRF adds to it in its set-up."""

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True)
class PreparedImage(Generic[Prepared]):
    """What `LatticeCRF.kernel` computes once for an image.

    Attributes:
        lattices: of position, and of position and colour.
        size: (H, W) of the image.
    """

    lattices: tuple[Prepared, Prepared]
    size: tuple[int, int]


class LatticeCRF(nn.Module, ABC, Generic[Prepared]):
    """CRF with two kernels, each a filter on a lattice of its own: over position, and over position and colour.

    Args:
        channels: number of classes.
        num_steps: mean-field iterations.
        position_sxy: standard deviation of the position kernel, in pixels.
        bilateral_sxy: standard deviation of the position in the bilateral kernel, in pixels.
        bilateral_srgb: standard deviation of the colour in the bilateral kernel, in the image's units.
        final_output: 'softmax' (probabilities) or 'log_Q' (logits of the last step).
        backend: name of a backend that has a lattice, or a Backend; None is `native`.

    Raises:
        ValueError: an option out of its range.
    """

    def __init__(
        self,
        channels: int,
        num_steps: int,
        *,
        position_sxy: float,
        bilateral_sxy: float,
        bilateral_srgb: float,
        final_output: FinalOutput,
        backend: str | Backend | None,
    ) -> None:
        super().__init__()
        self.channels = self._at_least("channels", channels, 1)
        self.num_steps = self._at_least("num_steps", num_steps, 0)
        self.position_sxy = self._deviation("position_sxy", position_sxy)
        self.bilateral_sxy = self._deviation("bilateral_sxy", bilateral_sxy)
        self.bilateral_srgb = self._deviation("bilateral_srgb", bilateral_srgb)
        self.final_output = self._one_of("final_output", final_output, get_args(FinalOutput))
        self.backend = backend

    @staticmethod
    def unavailable_reasons() -> list[str]:
        """Why it cannot run here, with the mend; empty where it can."""
        return lattice_unavailable_reasons()

    def kernel(self, image: Tensor) -> list[PreparedImage[Prepared]]:
        """The two lattices of each image, and what the CRF needs of them.

        Args:
            image: (N, 3, H, W), in [0, 255] unless `bilateral_srgb` says otherwise; float64 makes everything float64.

        Raises:
            ValueError: another shape or type.
            UnavailableError: there is no compiled lattice here; the message says how to mend it.
        """
        if image.dim() != 4 or image.shape[1] != 3 or not image.is_floating_point():
            raise self._error(
                f"image is {tuple(image.shape)} of {image.dtype}, expected (N, 3, H, W) of a floating type"
            )
        size = (image.shape[2], image.shape[3])
        dtype = image.dtype if image.dtype is torch.float64 else torch.float32
        position = create_position_feats(size, dtype=dtype)[0].flip(0)  # x, then y, as the published code has them
        prepared = []
        for colour in image.detach().to("cpu", dtype):
            bilateral = torch.cat([position / self.bilateral_sxy, colour / self.bilateral_srgb])
            features = (position / self.position_sxy, bilateral)
            by_position, by_colour = (self._prepare(PermutohedralLattice(each, self.backend)) for each in features)
            prepared.append(PreparedImage((by_position, by_colour), size))
        return prepared

    def steps(self, unary: Tensor, kernel: Sequence[PreparedImage[Prepared]]) -> Tensor:
        """The mean-field iterations.

        Args:
            unary: (N, channels, H, W) logits.
            kernel: what `kernel` gave for the images.

        Returns:
            (N, channels, H, W), as `final_output` says, on the unary's device and in its dtype.

        Raises:
            ValueError: shapes that do not fit.
        """
        if unary.dim() != 4 or unary.shape[:2] != (len(kernel), self.channels):
            raise self._error(f"unary is {tuple(unary.shape)}, expected ({len(kernel)}, {self.channels}, H, W)")
        for image in kernel:
            if tuple(unary.shape[2:]) != image.size:
                raise self._error(f"unary is {tuple(unary.shape)}, expected the image's height and width {image.size}")
        images = [self._infer(each, image) for each, image in zip(unary, kernel, strict=True)]
        # one image needs no copy
        joined = images[0][None] if len(images) == 1 else torch.stack(images) if images else unary.clone()
        return joined.to(unary)

    def forward(self, unary: Tensor, image: Tensor) -> Tensor:
        """`steps` with the `kernel` of the images: (N, channels, H, W) and (N, 3, H, W) → (N, channels, H, W)."""
        return self.steps(unary, self.kernel(image))

    @abstractmethod
    def _prepare(self, lattice: PermutohedralLattice) -> Prepared:
        """What depends on the image only, so that it is counted where the set-up is timed."""

    @abstractmethod
    def _infer(self, unary: Tensor, image: PreparedImage[Prepared]) -> Tensor:
        """The iterations of one image: (channels, H, W) → (channels, H, W), on the CPU in the lattice's dtype."""

    def _error(self, message: str) -> ValueError:
        return ValueError(f"{type(self).__name__}: {message}")

    def _at_least(self, name: str, count: int, least: int) -> int:
        if count < least:
            raise self._error(f"got {name}={count}, expected at least {least}")
        return count

    def _deviation(self, name: str, deviation: float) -> float:
        if not (math.isfinite(deviation) and deviation > 0):
            raise self._error(f"got {name}={deviation}, expected a finite number above 0")
        return deviation

    def _finite(self, name: str, weight: float) -> float:
        if not math.isfinite(weight):
            raise self._error(f"got {name}={weight}, expected a finite number")
        return float(weight)

    def _one_of(self, name: str, value: Choice, allowed: Sequence[str]) -> Choice:
        if value not in allowed:
            raise self._error(f"got {name}={value!r}, expected one of {', '.join(map(repr, allowed))}")
        return value
