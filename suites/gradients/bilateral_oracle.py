"""The bilateral filter (Tomasi & Manduchi, ICCV 1998) as a loop in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bilateral_filter(
    image: NDArray[np.float64], size: int, sigma_space: float, sigma_range: float
) -> NDArray[np.float64]:
    """Filter an image (C, H, W) over a square window; pixels outside the image have no weight.

    OpenCV measures colour distance in L1 and scikit-image rounds its spatial table, hence this loop with L2.
    """
    _, height, width = image.shape
    output = np.zeros_like(image)
    for y, x in np.ndindex(height, width):
        total = 0.0
        for qy in range(max(0, y - size // 2), min(height, y + size // 2 + 1)):
            for qx in range(max(0, x - size // 2), min(width, x + size // 2 + 1)):
                space = ((qy - y) ** 2 + (qx - x) ** 2) / sigma_space**2
                colour = float(((image[:, qy, qx] - image[:, y, x]) ** 2).sum()) / sigma_range**2
                weight = float(np.exp(-0.5 * (space + colour)))
                total += weight
                output[:, y, x] += weight * image[:, qy, qx]
        output[:, y, x] /= total
    return output
