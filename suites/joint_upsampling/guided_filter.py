"""The guided filter, by OpenCV."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from .interpolation import aligned_bilinear
from .sampling import LowResolution


@dataclass(frozen=True)
class GuidedFilter:
    """He et al.: the bilinearly upsampled values as, in each window, a linear function of the guide's colours.

    Attributes:
        radius_in_samples: Radius of the window in units of the factor.
        eps: Added to the guide's variance, for colours in 0..1.
    """

    radius_in_samples: float
    eps: float

    def __call__(self, low: LowResolution) -> Tensor:
        """Upsample; see the method's table."""
        guide = np.ascontiguousarray(low.guide[0].permute(1, 2, 0).cpu().numpy() / np.float32(255))
        radius = max(1, round(self.radius_in_samples * low.factor))
        filtered = [
            cv2.ximgproc.guidedFilter(guide, np.ascontiguousarray(channel.cpu().numpy()), radius, self.eps)
            for channel in aligned_bilinear(low)[0]
        ]
        return torch.from_numpy(np.stack(filtered))[None].to(low.values)
