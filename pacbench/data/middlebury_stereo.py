"""Middlebury 2005 and 2006 stereo scenes (Scharstein & Pal, CVPR 2007) for guided upsampling of disparity.

The layout, a folder a scene: `color.png`, `disp_gt.png` (8 bit, 0 unknown) and `noisy_lr_FFx.png`, the disparity at
1/FF of the resolution with noise, as Ferstl et al. (ICCV 2013) published them and guided upsampling has used since.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.image_files import read_colour, read_indices

_IMAGE, _TRUTH = "color.png", "disp_gt.png"
_NOISY = re.compile(r"noisy_lr_(\d\d)x\.png")


@dataclass(frozen=True, eq=False)
class DisparityScene:
    """One scene of height H and width W.

    Attributes:
        id: its name.
        image: float32 (3, H, W), RGB, 0..255.
        disparity: float32 (H, W), in levels of the file; 0 where it is unknown.
        known: bool (H, W).
        noisy: for each factor f, float32 (H / f, W / f), in the same unit: samples with noise. They lie at the
            centres of blocks of f x f pixels.
    """

    id: str
    image: Tensor
    disparity: Tensor
    known: Tensor
    noisy: dict[int, Tensor]


def is_here(root: Path) -> bool:
    """Whether a folder holds scenes of that layout."""
    return bool(scene_names(root))


def scene_names(root: Path) -> tuple[str, ...]:
    """The scenes of a folder, by name; empty where there is none."""
    return tuple(path.parent.name for path in sorted(root.glob(f"*/{_TRUTH}")))


def load_scene(root: Path, name: str) -> DisparityScene:
    """Load one scene.

    Raises:
        DataError: a missing or broken file, sizes that do not fit each other, or a disparity that is nowhere known.
    """
    folder = root / name
    image = read_colour(folder / _IMAGE)
    disparity = read_indices(folder / _TRUTH).to(torch.float32)
    height, width = disparity.shape
    if image.shape[1:] != disparity.shape:
        raise DataError(
            f"{folder / _TRUTH}: got {height} x {width} pixels, expected the image's "
            f"{image.shape[1]} x {image.shape[2]}"
        )
    known = disparity > 0
    if not bool(known.any()):
        raise DataError(f"{folder / _TRUTH}: got a disparity that is nowhere known, expected one that is")
    noisy: dict[int, Tensor] = {}
    for path in sorted(folder.glob("noisy_lr_*.png")):
        match = _NOISY.fullmatch(path.name)
        if match is None or int(match[1]) < 2:
            raise DataError(f"{path}: got a name without a factor, expected noisy_lr_FFx.png with 02 or more")
        factor = int(match[1])
        noisy[factor] = read_indices(path).to(torch.float32)
        expected = (-(-height // factor), -(-width // factor))
        if noisy[factor].shape != expected:
            raise DataError(
                f"{path}: got {tuple(noisy[factor].shape)} pixels, expected {expected} for {height} x {width}"
            )
    return DisparityScene(name, image, disparity, known, noisy)
