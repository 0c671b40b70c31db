"""The struct that every kernel takes: one table of its fields serves ctypes (cuda_ext) and numpy (CuPy).

The order and meaning of the fields stand in `kernels/call.cuh`; the size of both is compared when a library is loaded.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np
from torch import Tensor

POINTERS = (
    "input",
    "grad_output",
    "guide",
    "centres",
    "mask",
    "kernel",
    "weight",
    "filter",
    "bias",
    "base",
    "inv_alpha",
    "inv_lambda",
    "norms",
    "gradient",
    "partials",
    "target",
    "output_mask",
)
INTEGERS = (
    "batch",
    "in_channels",
    "out_channels",
    "guide_channels",
    "kernel_channels",
    "height",
    "width",
    "out_height",
    "out_width",
    "guide_height",
    "guide_width",
    "kernel_height",
    "kernel_width",
    "dilation_height",
    "dilation_width",
    "stride_height",
    "stride_width",
    "transposed",
    "offset_height",
    "offset_width",
    "guide_stride_height",
    "guide_stride_width",
    "guide_padding_height",
    "guide_padding_width",
    "form",
    "asymmetric",
    "normalize",
    "alpha_count",
    "lambda_count",
    "narrow_kernel",
    "backward",
    "shared_filters",
    "padded",
    "first_image",
    "images",
    "first_row",
    "rows",
    "whole_gradient",
    "accumulate",
    "slabs",
    "elements",
    "element_stride",
    "slab_stride",
    "partial_offset",
)

LARGEST = 2**31 - 256
"""Of an integer field, and of the output pixels: a loop in steps of a block may pass it by and still have an int."""


class CallStruct(ctypes.Structure):
    """`pacbench::Call`; a field that is not given is 0, or no tensor."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in POINTERS),
        *((name, ctypes.c_int) for name in INTEGERS),
    )


CALL_DTYPE = np.dtype([*((name, np.uintp) for name in POINTERS), *((name, np.intc) for name in INTEGERS)], align=True)
"""The same struct for numpy: CuPy passes a scalar of it by value."""


def write(tensors: Mapping[str, Tensor | None], sizes: Mapping[str, int]) -> CallStruct:
    """The struct of a call.

    Raises:
        ValueError: a size does not fit into an integer of the struct.
    """
    pixels = sizes["batch"] * sizes["out_height"] * sizes["out_width"]
    for name, size in {**sizes, "number of output pixels": pixels}.items():
        if not -LARGEST <= size <= LARGEST:
            raise ValueError(f"CUDA kernels: got {name} {size}, expected at most {LARGEST}")
    pointers = {name: tensor.data_ptr() for name, tensor in tensors.items() if tensor is not None}
    return CallStruct(**pointers, **sizes)
