"""A data set of two classes, a bright square before a dark ground, in memory and as a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pacbench.data.labelled_images import LabelledImage, LabelledSet

CLASSES = ("dark", "bright")


def blob(index: int) -> LabelledImage:
    """A bright square before a dark ground; a thin void rim."""
    generator = torch.Generator().manual_seed(index)
    image = 60 + 20 * torch.rand(3, 32, 40, generator=generator)
    labels = torch.zeros(32, 40, dtype=torch.int64)
    top, left = torch.randint(2, 16, (2,), generator=generator).tolist()
    labels[top - 1 : top + 13, left - 1 : left + 15] = 255
    labels[top : top + 12, left : left + 14] = 1
    image[:, labels == 1] += 110
    return LabelledImage(str(index), image.round(), labels)


BLOBS = LabelledSet(
    "blobs",
    CLASSES,
    {"train": tuple(map(str, range(6))), "val": ("100", "101", "102")},
    lambda _, name: blob(int(name)),
)


def write_blobs(root: Path) -> Path:
    """Three of them to train on and one to measure on, in the plain layout."""
    for part in ("images", "labels", "splits"):
        (root / part).mkdir(parents=True)
    for index in range(4):
        item = blob(index)
        Image.fromarray(item.image.byte().permute(1, 2, 0).numpy()).save(root / "images" / f"{index}.png")
        Image.fromarray(item.labels.numpy().astype(np.uint8)).save(root / "labels" / f"{index}.png")
    (root / "classes.txt").write_text("dark\nbright\n", encoding="utf-8")
    (root / "splits" / "train.txt").write_text("0\n1\n2\n", encoding="utf-8")
    (root / "splits" / "val.txt").write_text("3\n", encoding="utf-8")
    return root


def write_unaries(root: Path) -> None:
    """What a coarse and noisy network might say of each image: right more often than not."""
    (root / "unary").mkdir()
    for index in range(4):
        labels = blob(index).labels
        right = torch.stack([labels == 0, labels == 1]).float()
        noise = torch.randn(2, 32, 40, generator=torch.Generator().manual_seed(50 + index))
        np.save(root / "unary" / f"{index}.npy", (right + noise).numpy())
