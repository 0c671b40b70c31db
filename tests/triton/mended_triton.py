"""Triton's interpreter with its known faults mended, and as inexact as a GPU, and the backend as it computes then.
For tests only.

Seen in Triton 3.9: `tl.dot` of bfloat16 multiplies its bits as integers; tf32 is not modelled; float32 is truncated to
bfloat16 instead of rounded. `test_interpreter_faults.py` tells when a new Triton has mended them itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton._C.libtriton import ir
from triton.runtime import interpreter

from pacbench.backends.triton import TritonBackend


def widened(bits: Any) -> Any:
    """The float32 values of bfloat16 bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rounded_to_bfloat16(values: Any) -> Any:
    """The bits of the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    rounded[np.isnan(values)] = 0x7FC0
    return rounded


def rounded_to_tf32(values: Any) -> Any:
    """The nearest values with ten bits of mantissa."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)).view(np.float32)


def _dot(_: Any, a: Any, b: Any, d: Any, input_precision: Any, __: int) -> Any:
    x, y = (widened(side.data) if side.dtype.scalar == tl.bfloat16 else side.data for side in (a, b))
    if a.dtype.scalar == tl.float32 and input_precision == ir.INPUT_PRECISION.TF32:
        x, y = rounded_to_tf32(x), rounded_to_tf32(y)
    product = np.matmul(x, y, dtype=d.data.dtype)
    return interpreter.TensorHandle(product + d.data, d.dtype.scalar)


_convert = interpreter._convert_float


def _converted(values: Any, given: Any, wanted: Any, rounding: Any) -> Any:
    if given.scalar == tl.float32 and wanted.scalar == tl.bfloat16:
        return rounded_to_bfloat16(values.view(np.float32)).reshape(values.shape)
    return _convert(values, given, wanted, rounding)


def mend() -> None:
    """Put the mended functions in the place of the faulty ones, in this process."""
    interpreter.InterpreterBuilder.create_dot = _dot
    interpreter._convert_float = _converted


class MendedTriton(TritonBackend):
    """The backend in bfloat16, by the mended interpreter."""

    name = "mended_triton"

    def __init__(self) -> None:
        super().__init__()
        mend()
        self.capabilities = replace(self.capabilities, dtypes=("bfloat16",))

    def not_supported_reasons(self, call: Any) -> list[str]:
        return self.capabilities.not_supported_reasons(call)


class Tf32Triton(TritonBackend):
    """The backend in float32 multiplied in tf32, by the mended interpreter; errors as of ten bits of mantissa."""

    name = "tf32_triton"

    def __init__(self) -> None:
        super().__init__()
        mend()
        torch.backends.cuda.matmul.allow_tf32 = True
        self.capabilities = replace(self.capabilities, dtypes=("float32",))


def _off(values: Any, results: Any, error: Any) -> Any:
    """Results that are off by an error, up or down by a bit of what they were computed from."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32) * np.uint32(2654435761)
    return (results + np.where(bits >> 31, error, -error)).astype(np.float32)


def _exponential(_: Any, x: Any) -> Any:
    """exp(x) as 2 to the power of a rounded product, off by what the PTX manual allows to `ex2.approx.f32`."""
    if x.data.dtype != np.float32:
        return interpreter.TensorHandle(np.exp(x.data), x.dtype.scalar)
    exact = np.exp2((x.data * np.float32(np.log2(np.e))).astype(np.float64))
    return interpreter.TensorHandle(_off(x.data, exact, exact * 2.0**-22), x.dtype.scalar)


def _logarithm(_: Any, x: Any) -> Any:
    """log(x) as a rounded product of the logarithm to base 2, off by what is allowed to `lg2.approx.f32`."""
    if x.data.dtype != np.float32:
        return interpreter.TensorHandle(np.log(x.data), x.dtype.scalar)
    exact = np.log2(x.data.astype(np.float64))
    binary = _off(x.data, exact, 2.0**-22 * np.maximum(1, np.abs(exact)))
    return interpreter.TensorHandle(binary * np.float32(np.log(2)), x.dtype.scalar)


class InexactTriton(TritonBackend):
    """The backend in float32 with a GPU's approximate exponentials and logarithms."""

    name = "inexact_triton"

    def __init__(self) -> None:
        super().__init__()
        interpreter.InterpreterBuilder.create_exp = _exponential
        interpreter.InterpreterBuilder.create_log = _logarithm
        self.capabilities = replace(self.capabilities, dtypes=("float32",))
