"""What the tests of this suite share: the data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from .dataset import SwappingDataset, open_dataset


@pytest.fixture(scope="session")
def dataset(profile: str, data_root: Path | None) -> SwappingDataset:
    return open_dataset(profile, data_root)
