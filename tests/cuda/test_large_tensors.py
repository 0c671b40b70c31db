"""Tensors of more than 2^31 elements: they are read where 64-bit offsets lead; what is too many for an int is refused.

Most of a tensor's memory is never touched, so that none is taken for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cuda_emulated import CudaEmulatedBackend
from torch import Tensor

from pacbench import functional
from pacbench.backends.cuda import contractions
from pacbench.backends.cuda.launching import Launches

SIZE = 27_000
"""Height and width: three channels have more than 2^31 elements."""

STRIDE = SIZE - 1


def _image() -> Tensor:
    """Zeros, but for the four corners of the last channel."""
    try:  # zeros that the system gives when they are first read; torch would write them
        image = torch.from_numpy(np.zeros((1, 3, SIZE, SIZE), np.int16)).view(torch.bfloat16)
    except MemoryError as error:
        pytest.skip(f"no address space: {error}")
    assert image.numel() > 2**31
    image[0, 2, ::STRIDE, ::STRIDE] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    return image


@pytest.mark.usefixtures("emulated_library")
@pytest.mark.parametrize("operator", ["convolution", "pooling"])
def test_the_last_channel_is_found(operator: str) -> None:
    image, kernel = _image(), torch.full((1, 1, 1, 1, 2, 2), 2.0, dtype=torch.bfloat16)
    backend, corners = CudaEmulatedBackend(), torch.tensor([[2.0, 4.0], [6.0, 8.0]], dtype=torch.bfloat16)
    if operator == "convolution":
        weight = torch.tensor([1.0, 1.0, 3.0], dtype=torch.bfloat16).view(1, 3, 1, 1)
        output = functional.pacconv2d(image, kernel, weight, stride=STRIDE, backend=backend)
        assert torch.equal(output[0, 0], 3 * corners)
    else:
        output = functional.pacpool2d(image, kernel, 1, stride=STRIDE, backend=backend)
        assert torch.equal(output[0, 2], corners)
        assert not output[0, :2].any()


def test_a_filter_of_more_elements_than_an_int_counts_is_refused() -> None:
    weight: Any = torch.empty(2**16, 2**15, 1, 1, device="meta")
    sizes = {"batch": 1, "out_height": 1, "out_width": 1}
    launches = Launches(None, torch.float32, {"weight": weight}, sizes)  # type: ignore[arg-type] # nothing is launched
    with pytest.raises(ValueError, match="CUDA kernels: got elements 2147483648, expected at most 2147483392"):
        contractions._packed(launches, 2**16, 16)
