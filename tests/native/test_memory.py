"""What a call takes beyond its inputs, outputs and gradients."""

from __future__ import annotations

import pytest

from pacbench.suites.operators.cases import DIRECTIONS
from pacbench.suites.operators.extra_memory import named
from pacbench.suites.operators.parts import memory

pytestmark = pytest.mark.usefixtures("needs_library")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_convolution_keeps_no_copies_for_its_taps(direction: str) -> None:
    """32 channels of 256 x 256 pixels are 8 MB: 25 copies would be 200, and grow with the image."""
    metrics = memory(named("W1"), direction, "native", with_variants=True)["metrics"]
    assert metrics["extra_memory_mb_per_thread"] <= 4
    assert metrics["memory_growth_with_height"] <= 1.25
