"""A tiny data folder in VOC layout, the real one where it is, and what needs the compiled lattice."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pacbench.crf.lattice import lattice_unavailable_reasons

SIZE = (12, 16)

sys.path.insert(0, str(Path(__file__).parent))  # for lattice_oracle


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A folder in VOC layout: train a, b, c; val d, e; unaries of all."""
    generator = np.random.default_rng(0)
    base = tmp_path / "VOC2012"
    folders = [base / "JPEGImages", base / "SegmentationClass", base / "ImageSets" / "Segmentation", tmp_path / "unary"]
    for folder in folders:
        folder.mkdir(parents=True)
    for name in "abcde":
        Image.fromarray(generator.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(folders[0] / f"{name}.png")
        Image.fromarray(generator.integers(0, 21, SIZE, dtype=np.uint8)).save(folders[1] / f"{name}.png")
        np.save(folders[3] / f"{name}.npy", generator.normal(size=(21, 6, 8)).astype(np.float32))
    (folders[2] / "train.txt").write_text("a\nb\nc\nd\n", encoding="utf-8")
    (folders[2] / "val.txt").write_text("d\ne\n", encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def voc_samples() -> Path:
    """Real images with real unaries: in $PACBENCH_DATA, or in shared/data beside the checkout; else a skip."""
    named = os.environ.get("PACBENCH_DATA")
    folder = (Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data") / "voc_samples"
    if not folder.is_dir():
        pytest.skip(f"no real samples: {folder} is not there")
    return folder


@pytest.fixture
def needs_lattice() -> None:
    """Skips where there is no compiled lattice."""
    reasons = lattice_unavailable_reasons()
    if reasons:
        pytest.skip("; ".join(reasons))
