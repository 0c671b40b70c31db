"""Full-CRF by pydensecrf2: mean field in a fully connected CRF, on the permutohedral lattice, by its authors' code.

Source: Krähenbühl & Koltun, *Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials*,
NIPS 2011. The computation is the authors' C++ code (pydensecrf2, a package of its own): CPU only, one image
at a time, no gradient. `pacbench.crf.FullCRF` is our own, tested against it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass
class PreparedImage:
    """Lattices of one image: what `FullCRFPydensecrf2.kernel` gives to its `steps`."""

    crf: Any
    channels: int
    size: tuple[int, int]


class FullCRFPydensecrf2:
    """Fully connected CRF with a Gaussian of position and a bilateral Gaussian, both with Potts compatibility.

    Args:
        channels: number of classes.
        num_steps: mean-field iterations.
        unary_weight: weight of the unary.
        position_sxy: standard deviation of the position kernel, in pixels.
        position_compat: weight of the position kernel.
        bilateral_sxy: standard deviation of the position in the bilateral kernel, in pixels.
        bilateral_srgb: standard deviation of the colour in the bilateral kernel, in the image's units.
        bilateral_compat: weight of the bilateral kernel.

    Raises:
        RuntimeError: pydensecrf is not installed; the message says how to mend it.
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
    ) -> None:
        reasons = self.unavailable_reasons()
        if reasons:
            raise RuntimeError("FullCRFPydensecrf2: " + "; ".join(reasons))
        self.channels = channels
        self.num_steps = num_steps
        self.unary_weight = unary_weight
        self.position_sxy = position_sxy
        self.position_compat = position_compat
        self.bilateral_sxy = bilateral_sxy
        self.bilateral_srgb = bilateral_srgb
        self.bilateral_compat = bilateral_compat

    @staticmethod
    def unavailable_reasons() -> list[str]:
        """Why it cannot run here, with the mend; empty where it can."""
        if importlib.util.find_spec("pydensecrf") is None:
            return ["pydensecrf is not installed: pip install pacbench[full-crf]"]
        return []

    def kernel(self, image: Tensor) -> PreparedImage:
        """Build the two lattices of an image.

        Args:
            image: (1, 3, H, W), in [0, 255] unless `bilateral_srgb` says otherwise.
        """
        if image.dim() != 4 or image.shape[0] != 1:
            raise ValueError(
                f"FullCRFPydensecrf2: image is {tuple(image.shape)}, expected (1, 3, H, W): "
                "pydensecrf takes one image at a time"
            )
        from pydensecrf.densecrf import DenseCRF

        height, width = image.shape[-2:]
        crf = DenseCRF(height * width, self.channels)
        rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        position = np.stack([columns, rows]).reshape(2, -1).astype(np.float32)
        colour = image[0].detach().cpu().numpy().reshape(image.shape[1], -1).astype(np.float32)
        bilateral = np.concatenate([position / self.bilateral_sxy, colour / self.bilateral_srgb])
        crf.addPairwiseEnergy(
            np.ascontiguousarray(position / self.position_sxy, np.float32), compat=float(self.position_compat)
        )
        crf.addPairwiseEnergy(np.ascontiguousarray(bilateral, np.float32), compat=float(self.bilateral_compat))
        return PreparedImage(crf, self.channels, (height, width))

    def steps(self, unary: Tensor, kernel: PreparedImage) -> Tensor:
        """The mean-field iterations.

        Args:
            unary: (1, channels, H, W) logits.
            kernel: what `kernel` gave for the image.

        Returns:
            (1, channels, H, W) probabilities, on the unary's device and in its dtype.
        """
        expected = (1, kernel.channels, *kernel.size)
        if tuple(unary.shape) != expected:
            raise ValueError(f"FullCRFPydensecrf2: unary is {tuple(unary.shape)}, expected {expected}")
        energy = -self.unary_weight * unary[0].detach().float().log_softmax(dim=0)
        flat: NDArray[np.float32] = np.ascontiguousarray(energy.cpu().numpy().reshape(kernel.channels, -1))
        kernel.crf.setUnaryEnergy(flat)
        marginals = np.asarray(kernel.crf.inference(self.num_steps), dtype=np.float32)
        return torch.from_numpy(marginals.reshape(expected)).to(unary)

    def __call__(self, unary: Tensor, image: Tensor) -> Tensor:
        """`steps` with the `kernel` of the image: (1, channels, H, W) and (1, 3, H, W) → (1, channels, H, W)."""
        return self.steps(unary, self.kernel(image))
