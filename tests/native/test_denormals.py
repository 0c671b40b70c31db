"""Numbers too small to be normal: adapting kernels of distant features are full of them."""

from __future__ import annotations

import pytest
import torch

from pacbench import functional

_THREADS = (1, 2)


@pytest.mark.parametrize("threads", _THREADS)
def test_the_callers_arithmetic_keeps_denormals(threads: int) -> None:
    """The library counts them as 0 while it works, and puts the caller's setting back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        functional.guided_pacconv2d(
            torch.randn(1, 2, 40, 9), torch.randn(1, 3, 40, 9), torch.randn(2, 2, 3, 3), backend="native"
        )
        halves = torch.full((1 << 16,), 1.5e-38) / 4
        assert bool((halves > 0).all())
    finally:
        torch.set_num_threads(before)


def test_distant_features_agree_with_unfold() -> None:
    """Kernels between 1e-45 and 1e-30 beside those of 1."""
    generator = torch.Generator().manual_seed(5)
    guide = 9 * torch.rand(1, 3, 24, 30, generator=generator)
    input, weight = torch.randn(1, 4, 24, 30, generator=generator), torch.randn(4, 4, 5, 5, generator=generator)
    kernel = functional.packernel2d(guide, kernel_size=5, padding=2, backend="unfold")[0]
    assert bool(((kernel > 0) & (kernel < 1e-38)).any()), "the sample has no denormal kernel"
    results = [
        functional.guided_pacconv2d(input, guide, weight, padding=2, backend=backend)
        for backend in ("native", "unfold")
    ]
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=2e-6 * float(results[1].abs().max()))
