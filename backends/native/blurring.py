"""Mean-field steps on a coarser grid by the native library: calls of `kernels/blur.h` with torch tensors.

They are `torch.library` ops, so that a Conv-CRF compiles into one graph; they have no derivative.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from pacbench.blurring import blurred_size, leading_padding
from pacbench.capabilities import is_transformed
from pacbench.compiled.storage import dense
from pacbench.errors import UnavailableError

from . import library

_INTEGERS = "batch channels height width cell_rows cell_columns factor top left threads"
_POINTERS = "base message output beliefs"


class BlurCall(ctypes.Structure):
    """The struct of that name in `kernels/blur.h`; no tensor where none is given."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _INTEGERS.split()),
        *((name, ctypes.c_void_p) for name in _POINTERS.split()),
    )


def _defined(name: str, made: str) -> Any:
    """The op of a name, see `pacbench.backend.Backend`: float32 and float64, without a gradient.

    It makes `output`, of the base's shape, or `beliefs`, of the message's.
    """

    def empty(base: Tensor, message: Tensor, factor: int) -> Tensor:
        del factor
        return torch.empty_like(base if made == "output" else message, memory_format=torch.contiguous_format)

    def compute(base: Tensor, message: Tensor, factor: int) -> Tensor:
        result = empty(base, message, factor)
        _run(base, message, factor, **{made: result})
        return result

    op: Any = torch.library.custom_op(
        f"pacbench_native::{name}", compute, mutates_args=(), device_types="cpu",
        schema="(Tensor base, Tensor message, int factor) -> Tensor",
    )  # fmt: skip
    op.register_fake(empty)
    return op


add_blurred = _defined("add_blurred", "output")
blurred_beliefs = _defined("blurred_beliefs", "beliefs")


def fuses(base: Tensor, message: Tensor) -> bool:
    """Whether the ops compute this: what they can, and no derivative is wanted."""
    wanted = torch.is_grad_enabled() and (base.requires_grad or message.requires_grad)
    wanted = wanted or is_transformed(base) or is_transformed(message)
    return not wanted and base.dtype in library.SCALARS and base.dtype is message.dtype and base.device.type == "cpu"


def _run(base: Tensor, message: Tensor, factor: int, **made: Tensor) -> None:
    if factor < 1 or base.dim() != 4:
        raise ValueError(f"blurred mean field: got {tuple(base.shape)} by {factor}, expected (N, C, H, W) by 1 or more")
    batch, channels, height, width = base.shape
    size = (height, width)
    rows, columns = blurred_size(size, factor)
    if tuple(message.shape) != (batch, channels, rows, columns) or message.dtype is not base.dtype:
        raise ValueError(
            f"blurred mean field: message is {tuple(message.shape)} of {message.dtype}, expected "
            f"{(batch, channels, rows, columns)} of {base.dtype}"
        )
    top, left = leading_padding(size, factor)
    given = {"base": dense(base, base.dtype), "message": dense(message, base.dtype)}  # alive until the call returns
    call = BlurCall(
        batch=batch, channels=channels, height=height, width=width, cell_rows=rows, cell_columns=columns,
        factor=factor, top=top, left=left, threads=library.threads(),
        **{name: tensor.data_ptr() for name, tensor in {**given, **made}.items()},
    )  # fmt: skip
    found = library.current()
    try:
        found.expect_size(BlurCall, "pacbench_native_blur_call_size")
        found.run("blurred_update", base.dtype, call)
    except AttributeError as error:
        raise UnavailableError(
            f"blurred mean field: {found.path} lacks {error}; to mend it: build it again by {library.REBUILD}"
        ) from error
