"""What is no ordinary number, or size: infinities, NaNs and empty tensors are where `unfold` has them."""

from __future__ import annotations

import pytest
import torch
from cuda_emulated import CudaEmulatedBackend

from pacbench import functional

pytestmark = pytest.mark.usefixtures("emulated_library")


@pytest.mark.parametrize("channels", [3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2], ids=["tiled", "gathered"])
def test_an_infinite_kernel_makes_infinite_sums(channels: int, stride: int) -> None:
    """The distance to one pixel's guide overflows: an `inv` kernel is infinite there, the channels positive."""
    guide = torch.zeros(1, 2, 9, 9)
    guide[0, 0, 4, 4] = 1e30
    image = torch.full((1, channels, 9, 9), 0.5)
    weight = torch.full((6, channels, 3, 3), 0.25)
    options = {"padding": 1, "stride": stride, "kernel_type": "inv_0.3_0.8"}
    output = functional.guided_pacconv2d(image, guide, weight, **options, backend=CudaEmulatedBackend())
    want = functional.guided_pacconv2d(image, guide, weight, **options, backend="unfold")
    assert want.isinf().any()
    assert not want.isnan().any()
    torch.testing.assert_close(output, want)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_a_nan_of_the_guide_stays_where_it_is_seen(kernel_size: int) -> None:
    guide = torch.randn(1, 2, 13, 41, generator=torch.Generator().manual_seed(0))
    guide[0, 1, 6, 33] = torch.nan
    image, weight = torch.ones(1, 3, 13, 41), torch.ones(5, 3, kernel_size, kernel_size)
    options = {"padding": kernel_size // 2, "kernel_type": "gaussian_asym"}
    output = functional.guided_pacconv2d(image, guide, weight, **options, backend=CudaEmulatedBackend())
    want = functional.guided_pacconv2d(image, guide, weight, **options, backend="unfold")
    assert 0 < want.isnan().sum() < want.numel()
    torch.testing.assert_close(output, want, equal_nan=True)


@pytest.mark.parametrize(("batch", "outputs"), [(0, 5), (2, 0), (0, 0)])
@pytest.mark.parametrize("stride", [1, 2], ids=["tiled", "gathered"])
def test_empty_tensors_and_their_gradients(batch: int, outputs: int, stride: int) -> None:
    def results(backend: str | CudaEmulatedBackend) -> list[torch.Tensor]:
        shapes = ((batch, 3, 7, 7), (batch, 2, 7, 7), (outputs, 3, 3, 3), (outputs,))
        leaves = [torch.ones(shape, requires_grad=True) for shape in shapes]
        output = functional.guided_pacconv2d(*leaves, stride, 1, backend=backend)
        return [output, *torch.autograd.grad(output.sum(), leaves)]

    for got, want in zip(results(CudaEmulatedBackend()), results("unfold"), strict=True):
        assert torch.equal(got, want)
