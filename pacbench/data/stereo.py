"""The motorcycle: a photographed stereo pair with measured disparity, which the scikit-image wheel carries.

From the Middlebury 2014 stereo set (Scharstein et al., "High-resolution stereo datasets with
subpixel-accurate ground truth", GCPR 2014), 4 times downsampled by scikit-image
(`skimage.data.stereo_motorcycle`).
The files are read from the installed package; nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.image_files import read_colour
from pacbench.data.unaries import read_array

_FILES = {"left": "motorcycle_left.png", "right": "motorcycle_right.png", "disparity": "motorcycle_disp.npz"}


@dataclass(frozen=True)
class StereoPair:
    """A rectified stereo pair of height H and width W.

    Attributes:
        left: float32 (3, H, W), RGB, 0..255: the image that the disparity belongs to.
        right: float32 (3, H, W), RGB, 0..255.
        disparity: float32 (H, W), pixels; 0 where it is unknown.
        known: bool (H, W): where the disparity was measured.
    """

    left: Tensor
    right: Tensor
    disparity: Tensor
    known: Tensor


def motorcycle() -> StereoPair:
    """The motorcycle pair, 500 x 741 pixels; about 7 percent of the disparities are unknown.

    Raises:
        DataError: the installed scikit-image does not carry the files (its wheel does).
    """
    with resources.as_file(resources.files("skimage.data")) as folder:
        paths = {role: Path(folder) / name for role, name in _FILES.items()}
        for path in paths.values():
            if not path.is_file():
                raise DataError(f"{path}: got no file, expected the one that scikit-image's wheel carries")
        disparity = torch.from_numpy(np.asarray(read_array(paths["disparity"]), dtype=np.float32))
        left, right = read_colour(paths["left"]), read_colour(paths["right"])
    known = torch.isfinite(disparity) & (disparity > 0)
    return StereoPair(left, right, torch.where(known, disparity, 0.0), known)
