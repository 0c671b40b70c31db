"""What the tests of this suite share: the measured FMA peak."""

from __future__ import annotations

import pytest
import torch

from pacbench.measuring.fma_peak import FmaPeak, measure_fma_peak


@pytest.fixture(scope="session")
def fma_peak() -> FmaPeak:
    """Multiply-adds per second of this machine's registers, with as many threads as torch has."""
    return measure_fma_peak(torch.get_num_threads())
