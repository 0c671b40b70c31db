"""BCL-CRF: mean field whose messages are learned filters on the permutohedral lattice.

Source: Jampani, Kiefel & Gehler, *Learning Sparse High Dimensional Filters: Image Filtering, Dense CRFs and Bilateral
Neural Networks*, CVPR 2016, section 5.1: the Gaussian kernels of a fully connected CRF (`pacbench.crf.FullCRF`)
become bilateral convolutions, tied over the mean-field steps or loose. Where the paper leaves a choice,
`docs/crf_methods.md` says which was made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from pacbench.backend import Backend
from pacbench.crf.edge_features import create_position_feats
from pacbench.crf.lattice import PermutohedralLattice, lattice_unavailable_reasons
from pacbench.crf.lattice_neighbourhood import Neighbourhood, neighbourhood

FINAL_OUTPUTS = ("log_Q", "softmax")


@dataclass(frozen=True)
class ConvolvedLattice:
    """A lattice on which a filter is learned.

    Attributes:
        lattice: of one image.
        neighbours: (points, taps), where the filter's taps lie.
        mirrored: (taps), the opposite of each tap.
        scale: (pixels), what pixels are multiplied by before and after: it makes the filter's start a mean.
    """

    lattice: PermutohedralLattice
    neighbours: Tensor
    mirrored: Tensor
    scale: Tensor

    def filter(self, rows: Tensor, weight: Tensor) -> Tensor:
        """Rows (pixels, row) filtered by weight (taps, row)."""
        values = self.lattice.splat(rows, self.scale)
        return self.lattice.slice(self.lattice.convolve(values, weight, self.neighbours, self.mirrored), self.scale)


@dataclass(frozen=True)
class ConvolvedImage:
    """What `BCLCRF.kernel` computes once for an image of size (H, W)."""

    lattices: tuple[ConvolvedLattice, ...]
    size: tuple[int, int]


class BCLCRF(nn.Module):
    """CRF with two learned filters on permutohedral lattices: over position, and over position and colour.

    ``Q ← softmax(unary_weight · unary - μ Σ_k W_k * Q)``, from softmax(unary_weight · unary). W_k has
    (radius + 1)^(d + 1) - radius^(d + 1) taps for each class; it starts as a Gaussian cut off at the radius times the
    kernel's weight, and is normalised symmetrically by that Gaussian's response to ones, which is not learned.
    μ, (channels, channels), starts as 1 - I.

    Args:
        channels: number of classes.
        num_steps: mean-field iterations.
        unary_weight: weight of the unary.
        position_sxy: standard deviation of the position kernel, in pixels.
        position_compat: what the position filter starts with as its weight.
        bilateral_sxy: standard deviation of the position in the bilateral kernel, in pixels.
        bilateral_srgb: standard deviation of the colour in the bilateral kernel, in the image's units.
        bilateral_compat: what the bilateral filter starts with as its weight.
        radius: of the filters, in steps on the lattice.
        loose: every step has filters and compatibility of its own.
        final_output: 'log_Q' (logits of the last step) or 'softmax'.
        backend: name of a backend that has a lattice, or a Backend; None is `native`.

    Raises:
        ValueError: an option out of its range.
        UnavailableError: there is no compiled lattice here; the message says how to mend it.
    """

    def __init__(
        self,
        channels: int,
        num_steps: int = 5,
        *,
        unary_weight: float = 1.0,
        position_sxy: float = 3.0,
        position_compat: float = 3.0,
        bilateral_sxy: float = 80.0,
        bilateral_srgb: float = 13.0,
        bilateral_compat: float = 10.0,
        radius: int = 1,
        loose: bool = False,
        final_output: str = "log_Q",
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__()
        for name, count, least in (("channels", channels, 1), ("num_steps", num_steps, 0), ("radius", radius, 0)):
            if count < least:
                raise ValueError(f"BCLCRF: got {name}={count}, expected at least {least}")
        deviations = {"position_sxy": position_sxy, "bilateral_sxy": bilateral_sxy, "bilateral_srgb": bilateral_srgb}
        for name, deviation in deviations.items():
            if not (math.isfinite(deviation) and deviation > 0):
                raise ValueError(f"BCLCRF: got {name}={deviation}, expected a finite number above 0")
        if final_output not in FINAL_OUTPUTS:
            raise ValueError(
                f"BCLCRF: got final_output={final_output!r}, expected one of {', '.join(map(repr, FINAL_OUTPUTS))}"
            )
        self.channels = channels
        self.num_steps = num_steps
        self.backend = backend
        self.position_sxy = position_sxy
        self.bilateral_sxy = bilateral_sxy
        self.bilateral_srgb = bilateral_srgb
        self.radius = radius
        self.loose = loose
        self.final_output = final_output
        copies = num_steps if loose else 1
        self.unary_weight = nn.Parameter(torch.tensor(float(unary_weight)))
        self.compatibility = nn.Parameter((1 - torch.eye(channels)).repeat(copies, 1, 1))
        self.position_filter = nn.Parameter(self._start(neighbourhood(2, radius), position_compat, copies))
        self.bilateral_filter = nn.Parameter(self._start(neighbourhood(5, radius), bilateral_compat, copies))

    def _start(self, taps: Neighbourhood, weight: float, copies: int) -> Tensor:
        if not math.isfinite(weight):
            raise ValueError(f"BCLCRF: got a kernel's weight of {weight}, expected a finite number")
        return (weight * taps.gaussian()).float()[None, :, None].repeat(copies, 1, self.channels)

    @staticmethod
    def unavailable_reasons() -> list[str]:
        """Why it cannot run here, with the mend; empty where it can."""
        return lattice_unavailable_reasons()

    def extra_repr(self) -> str:
        """The options, as they are printed."""
        return f"channels={self.channels}, num_steps={self.num_steps}, radius={self.radius}, loose={self.loose}"

    def kernel(self, image: Tensor) -> list[ConvolvedImage]:
        """The two lattices of each image, their neighbours, and the normalisation of the filters' start.

        Args:
            image: (N, 3, H, W), in [0, 255] unless `bilateral_srgb` says otherwise; float64 makes everything float64.
        """
        if image.dim() != 4 or image.shape[1] != 3 or not image.is_floating_point():
            raise ValueError(
                f"BCLCRF: image is {tuple(image.shape)} of {image.dtype}, expected (N, 3, H, W) of a floating type"
            )
        size = (image.shape[2], image.shape[3])
        dtype = image.dtype if image.dtype is torch.float64 else torch.float32
        position = create_position_feats(size, dtype=dtype)[0].flip(0)
        images = []
        for each in image.detach().to("cpu", dtype):
            bilateral = torch.cat([position / self.bilateral_sxy, each / self.bilateral_srgb])
            lattices = (self._convolved(position / self.position_sxy), self._convolved(bilateral))
            images.append(ConvolvedImage(lattices, size))
        return images

    def _convolved(self, features: Tensor) -> ConvolvedLattice:
        lattice = PermutohedralLattice(features, self.backend)
        taps = neighbourhood(lattice.dimensions, self.radius)
        table = lattice.neighbours(taps.offsets)
        ones = lattice.splat(features.new_ones(lattice.pixels, 1))
        weight = taps.gaussian().to(lattice.dtype)[:, None]
        response = lattice.slice(lattice.convolve(ones, weight, table, taps.mirrored))[:, 0]
        return ConvolvedLattice(lattice, table, taps.mirrored, (response + 1e-20).rsqrt())

    def steps(self, unary: Tensor, kernel: Sequence[ConvolvedImage]) -> Tensor:
        """The mean-field iterations.

        Args:
            unary: (N, channels, H, W) logits.
            kernel: what `kernel` gave for the images.

        Returns:
            (N, channels, H, W), as `final_output` says, on the unary's device and in its dtype.
        """
        if unary.dim() != 4 or unary.shape[:2] != (len(kernel), self.channels):
            raise ValueError(f"BCLCRF: unary is {tuple(unary.shape)}, expected ({len(kernel)}, {self.channels}, H, W)")
        for image in kernel:
            if tuple(unary.shape[2:]) != image.size:
                raise ValueError(
                    f"BCLCRF: unary is {tuple(unary.shape)}, expected the image's height and width {image.size}"
                )
        images = [self._infer(each, image) for each, image in zip(unary, kernel, strict=True)]
        # one image needs no copy
        joined = images[0][None] if len(images) == 1 else torch.stack(images) if images else unary.clone()
        return joined.to(unary)

    def _infer(self, unary: Tensor, image: ConvolvedImage) -> Tensor:
        lattice = image.lattices[0].lattice
        rows = unary.flatten(1).to("cpu", lattice.dtype).t()
        base = rows * self.unary_weight.to("cpu", lattice.dtype)
        logits = base
        for step in range(self.num_steps):
            copy = step if self.loose else 0
            beliefs = lattice.rows(logits.softmax(dim=1).t())
            messages = torch.zeros_like(beliefs)
            for convolved, weight in zip(image.lattices, (self.position_filter, self.bilateral_filter), strict=True):
                padded = F.pad(weight[copy].to("cpu", lattice.dtype), (0, beliefs.shape[1] - self.channels))
                messages = messages + convolved.filter(beliefs, padded)
            compatibility = self.compatibility[copy].to("cpu", lattice.dtype)
            logits = torch.addmm(base, messages[:, : self.channels], compatibility.t(), alpha=-1)
        output = logits.softmax(dim=1) if self.final_output == "softmax" else logits
        return output.t().reshape(unary.shape)

    def forward(self, unary: Tensor, image: Tensor) -> Tensor:
        """`steps` with the `kernel` of the images: (N, channels, H, W) and (N, 3, H, W) → (N, channels, H, W)."""
        return self.steps(unary, self.kernel(image))
