"""What is no ordinary number, or size, against `unfold`; run with TRITON_INTERPRET=1, leaves with an error where it is
not the same."""

from __future__ import annotations

import warnings
from itertools import product

import torch
from torch import Tensor

from pacbench import functional

INVERSE = "inv_0.3_0.8"


def check_infinite_kernel(channels: int, stride: int) -> None:
    """The distance to one pixel's guide overflows: K is infinite there, the channels positive, and so is the sum."""
    guide = torch.zeros(1, 2, 9, 9)
    guide[0, 0, 4, 4] = 1e30
    image, weight = torch.full((1, channels, 9, 9), 0.5), torch.full((6, channels, 3, 3), 0.25)
    got, want = (
        functional.guided_pacconv2d(
            image, guide, weight, padding=1, stride=stride, kernel_type=INVERSE, backend=backend
        )
        for backend in ("triton", "unfold")
    )
    assert want.isinf().any()
    assert not want.isnan().any()
    torch.testing.assert_close(got, want)


def check_nan_of_the_guide(kernel_type: str) -> None:
    """It stays where it is seen."""
    guide = torch.randn(1, 2, 13, 41, generator=torch.Generator().manual_seed(0))
    guide[0, 1, 6, 33] = torch.nan
    image, weight = torch.ones(1, 3, 13, 41), torch.ones(5, 3, 3, 3)
    got, want = (
        functional.guided_pacconv2d(image, guide, weight, padding=1, kernel_type=kernel_type, backend=backend)
        for backend in ("triton", "unfold")
    )
    assert 0 < want.isnan().sum() < want.numel()
    torch.testing.assert_close(got, want, equal_nan=True)


def check_empty(batch: int, outputs: int, kernel_type: str) -> None:
    """No image, or no output channel: outputs and all gradients, those to alpha and lambda too."""

    def results(backend: str) -> list[Tensor]:
        shapes = [(batch, 3, 7, 7), (batch, 2, 7, 7), (outputs, 3, 3, 3), (outputs,)]
        leaves = [torch.ones(shape, requires_grad=True) for shape in shapes]
        names = ("inv_alpha", "inv_lambda") if kernel_type == INVERSE else ()
        learnt = {name: torch.ones(1, requires_grad=True) for name in names}
        output = functional.guided_pacconv2d(
            *leaves, padding=1, kernel_type=kernel_type, normalize_kernel=True, backend=backend, **learnt
        )
        return [output, *torch.autograd.grad(output.sum(), [*leaves, *learnt.values()])]

    for got, want in zip(results("triton"), results("unfold"), strict=True):
        assert torch.equal(got, want), (batch, outputs, kernel_type)


def main() -> None:
    warnings.filterwarnings("ignore", category=RuntimeWarning)  # of NumPy, which interprets
    for channels, stride in product((3, 4, 5), (1, 2)):
        check_infinite_kernel(channels, stride)
    for kernel_type in ("gaussian", "gaussian_asym", INVERSE):
        check_nan_of_the_guide(kernel_type)
    for (batch, outputs), kernel_type in product([(0, 5), (2, 0), (0, 0)], ["gaussian", INVERSE]):
        check_empty(batch, outputs, kernel_type)


if __name__ == "__main__":
    main()
