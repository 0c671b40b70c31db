"""What the tests of this suite share: the data set and its tuner."""

from __future__ import annotations

from pathlib import Path

import pytest

from .dataset import CrfDataset, open_dataset
from .tuning import EVALUATIONS, Tuner


@pytest.fixture(scope="session")
def dataset(profile: str, data_root: Path | None, weights: tuple[Path, ...]) -> CrfDataset:
    return open_dataset(profile, data_root, weights)


@pytest.fixture(scope="session")
def tuner(dataset: CrfDataset, profile: str, run_folder: Path | None) -> Tuner:
    return Tuner(dataset, EVALUATIONS[profile], run_folder)
