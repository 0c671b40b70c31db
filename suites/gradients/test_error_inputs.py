"""Wrong arguments: a clear error before any work, the same words for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from pacbench import functional
from pacbench.backend import Backend
from pacbench.running.device import device_of

from .comparing import dtype_or_skip


@dataclass(frozen=True)
class ErrorInput:
    """A wrong call: an operator, what is changed in a right one, and the error that must come."""

    name: str
    operator: str
    change: Callable[[dict[str, Any]], dict[str, Any]]
    error: type[Exception]
    message: str


def _right_call(operator: str) -> dict[str, Any]:
    """Arguments (float64, on the CPU) of a right call of each operator, by name."""

    def ones(*shape: int) -> torch.Tensor:
        return torch.ones(*shape, dtype=torch.float64)

    calls: dict[str, dict[str, Any]] = {
        "packernel2d": {"guide": ones(2, 3, 6, 7), "kernel_size": 3, "padding": 1},
        "pacconv2d": {
            "input": ones(2, 4, 6, 7),
            "kernel": ones(2, 1, 3, 3, 6, 7),
            "weight": ones(5, 4, 3, 3),
            "padding": 1,
        },
        "pacconv_transpose2d": {
            "input": ones(2, 4, 3, 4),
            "kernel": ones(2, 1, 3, 3, 6, 8),
            "weight": ones(4, 5, 3, 3),
            "stride": 2,
            "padding": 1,
            "output_padding": 1,
        },
        "pacpool2d": {"input": ones(2, 4, 6, 7), "kernel": ones(2, 1, 3, 3, 6, 7), "kernel_size": 3, "padding": 1},
        "guided_pacconv2d": {
            "input": ones(2, 4, 6, 7),
            "guide": ones(2, 3, 6, 7),
            "weight": ones(5, 4, 3, 3),
            "padding": 1,
        },
        "guided_pacconv_transpose2d": {
            "input": ones(2, 4, 3, 4),
            "guide": ones(2, 3, 6, 8),
            "weight": ones(4, 5, 3, 3),
            "stride": 2,
            "padding": 1,
            "output_padding": 1,
        },
        "guided_pacpool2d": {"input": ones(2, 4, 6, 7), "guide": ones(2, 3, 6, 7), "kernel_size": 3, "padding": 1},
        "mean_field_update": {
            "base": ones(2, 4, 6, 7),
            "beliefs": ones(2, 4, 6, 7),
            "kernel": ones(2, 1, 3, 3, 6, 7),
            "weight": ones(4, 4, 3, 3),
            "padding": 1,
        },
    }
    return calls[operator]


def _setting(**values: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda arguments: arguments | values


def _reshaping(name: str, *shape: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda arguments: arguments | {name: torch.ones(*shape, dtype=torch.float64)}


def _casting(name: str, dtype: torch.dtype) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda arguments: arguments | {name: arguments[name].to(dtype)}


V, T = ValueError, TypeError
CONV, UP, POOL = "guided_pacconv2d", "guided_pacconv_transpose2d", "guided_pacpool2d"
MEAN_FIELD = "mean_field_update"
ERROR_INPUTS = (
    ErrorInput("even", "packernel2d", _setting(kernel_size=4), V, r"got kernel_size \(4, 4\), expected odd"),
    ErrorInput("even_filter", CONV, _reshaping("weight", 5, 4, 2, 3), V, r"got kernel_size \(2, 3\), expected odd"),
    ErrorInput("even_pool", POOL, _setting(kernel_size=(3, 2)), V, r"got kernel_size \(3, 2\), expected odd"),
    ErrorInput("zero_size", "pacpool2d", _setting(kernel_size=0), V, "got kernel_size 0, expected at least 1"),
    ErrorInput("triple", "packernel2d", _setting(kernel_size=(3, 3, 3)), V, "expected an int or a pair"),
    ErrorInput("float_stride", CONV, _setting(stride=1.5), T, "got stride 1.5, expected an int or a pair"),
    ErrorInput("bool_stride", CONV, _setting(stride=(True, 1)), T, "got stride .* expected an int or a pair"),
    ErrorInput("stride0", CONV, _setting(stride=0), V, "got stride 0, expected at least 1"),
    ErrorInput("dilation0", "pacconv2d", _setting(dilation=(1, 0)), V, r"got dilation \(1, 0\), expected at least 1"),
    ErrorInput("padding_negative", "pacpool2d", _setting(padding=-1), V, "got padding -1, expected at least 0"),
    ErrorInput("output_padding", UP, _setting(output_padding=2), V, r"got output_padding \(2, 2\), expected less than"),
    ErrorInput(
        "output_padding_plain",
        "packernel2d",
        _setting(output_padding=1),
        V,
        r"got output_padding \(1, 1\), expected 0",
    ),
    ErrorInput("small", POOL, _setting(kernel_size=9), V, "expected at least 1 x 1"),
    ErrorInput("small_conv", "pacconv2d", _setting(dilation=5, padding=0), V, "expected at least 1 x 1"),
    ErrorInput("kernel_type", "packernel2d", _setting(kernel_type="box"), V, "got kernel_type 'box', expected"),
    ErrorInput("inv", POOL, _setting(kernel_type="inv_1"), V, "got kernel_type 'inv_1', expected"),
    ErrorInput("inv_number", POOL, _setting(kernel_type="inv_a_b"), V, "got kernel_type 'inv_a_b', expected"),
    ErrorInput("gaussian_fixed", POOL, _setting(kernel_type="gaussian_fixed"), V, "got kernel_type 'gaussian_fixed'"),
    ErrorInput("smooth", CONV, _setting(smooth_kernel_type="median"), V, "got smooth_kernel_type 'median', expected"),
    ErrorInput("smooth_even", CONV, _setting(smooth_kernel_type="average_4"), V, "'average_4', expected an odd size"),
    ErrorInput("smooth_missing", CONV, _setting(smooth_kernel_type="full_3"), V, "got no smooth_kernel, expected one"),
    ErrorInput(
        "smooth_shape",
        CONV,
        lambda arguments: (
            arguments | {"smooth_kernel_type": "full_3", "smooth_kernel": torch.ones(3, 3, dtype=torch.float64)}
        ),
        V,
        r"got smooth_kernel \(3, 3\), expected \(1, 1, 3, 3\)",
    ),
    ErrorInput("smooth_unused", CONV, _reshaping("smooth_kernel", 1, 1, 3, 3), V, "got smooth_kernel with smooth_kern"),
    ErrorInput("alpha_unused", CONV, _reshaping("inv_alpha", 1), V, "got inv_alpha with kernel_type 'gaussian'"),
    ErrorInput(
        "alpha_values",
        POOL,
        lambda arguments: arguments | {"kernel_type": "inv_1_1", "inv_alpha": torch.ones(3, dtype=torch.float64)},
        V,
        "got inv_alpha of 3 values, expected 1",
    ),
    ErrorInput("input_3d", CONV, _reshaping("input", 4, 6, 7), V, r"got input \(4, 6, 7\), expected 4 dimensions"),
    ErrorInput("input_list", "pacpool2d", _setting(input=[1.0]), T, "got input of type list, expected torch.Tensor"),
    ErrorInput("no_channels", POOL, _reshaping("input", 2, 0, 6, 7), V, "expected at least one channel"),
    ErrorInput("guide_3d", "packernel2d", _reshaping("guide", 3, 6, 7), V, r"got guide \(3, 6, 7\), expected 4"),
    ErrorInput("guide_none", CONV, _setting(guide=None), T, "got guide of type NoneType, expected torch.Tensor"),
    ErrorInput(
        "guide_size", CONV, _reshaping("guide", 2, 3, 6, 6), V, r"got guide \(2, 3, 6, 6\), expected \(2, G, 6, 7\)"
    ),
    ErrorInput("guide_batch", POOL, _reshaping("guide", 1, 3, 6, 7), V, r"got guide \(1, 3, 6, 7\), expected \(2, G"),
    ErrorInput(
        "guide_low", UP, _reshaping("guide", 2, 3, 3, 4), V, r"got guide \(2, 3, 3, 4\), expected \(2, G, 6, 8\)"
    ),
    ErrorInput(
        "transposed_guide",
        "packernel2d",
        _setting(transposed=True, stride=2, output_padding=0),
        V,
        "expected the size of that operator's output",
    ),
    ErrorInput("channel_wise", POOL, _setting(channel_wise=True), V, "got guide of 3 channels with channel_wise"),
    ErrorInput("kernel_none", "pacconv2d", _setting(kernel=None), T, "got kernel of type NoneType, expected"),
    ErrorInput(
        "kernel_size", "pacconv2d", _reshaping("kernel", 2, 1, 3, 3, 5, 7), V, r"got kernel \(2, 1, 3, 3, 5, 7\)"
    ),
    ErrorInput("kernel_channels", "pacconv2d", _reshaping("kernel", 2, 4, 3, 3, 6, 7), V, r"expected \(2, 1, 3, 3"),
    ErrorInput("kernel_pool", "pacpool2d", _reshaping("kernel", 2, 3, 3, 3, 6, 7), V, r"expected \(2, 1 or 4, 3, 3"),
    ErrorInput(
        "weight_channels", CONV, _reshaping("weight", 5, 3, 3, 3), V, r"3 input channels, expected 4 \(input is"
    ),
    ErrorInput("weight_flipped", UP, _reshaping("weight", 5, 4, 3, 3), V, r"5 input channels, expected 4 \(input is"),
    ErrorInput("weight_3d", CONV, _reshaping("weight", 5, 3, 3), V, r"got weight \(5, 3, 3\), expected 4 dimensions"),
    ErrorInput("shared", CONV, _setting(shared_filters=True), V, r"expected \(1, 1, k_h, k_w\) with shared_filters"),
    ErrorInput("bias", CONV, _reshaping("bias", 4), V, r"got bias \(4,\), expected \(5,\)"),
    ErrorInput("mask", CONV, _reshaping("mask", 2, 1, 5, 5), V, r"got mask \(2, 1, 5, 5\), expected \(2, 1, 6, 7\)"),
    ErrorInput("mask_high", UP, _reshaping("mask", 2, 1, 6, 8), V, r"got mask \(2, 1, 6, 8\), expected \(2, 1, 3, 4\)"),
    ErrorInput("integers", CONV, _casting("input", torch.int64), T, "got input of dtype torch.int64, expected one of"),
    ErrorInput("complex", POOL, _casting("guide", torch.complex64), T, "got guide of dtype torch.complex64, expected"),
    ErrorInput(
        "weight_dtype", CONV, _casting("weight", torch.float32), T, "got weight of dtype torch.float32, expected"
    ),
    ErrorInput("guide_dtype", CONV, _casting("guide", torch.float32), T, "got guide of dtype torch.float32, expected"),
    ErrorInput("kernel_dtype", "pacpool2d", _casting("kernel", torch.float16), T, "got kernel of dtype torch.float16"),
    ErrorInput("base_3d", MEAN_FIELD, _reshaping("base", 4, 6, 7), V, r"got base \(4, 6, 7\), expected 4 dimensions"),
    ErrorInput("beliefs_list", MEAN_FIELD, _setting(beliefs=[1.0]), T, "got beliefs of type list, expected torch.T"),
    ErrorInput(
        "beliefs",
        MEAN_FIELD,
        _reshaping("beliefs", 2, 3, 6, 7),
        V,
        r"got beliefs \(2, 3, 6, 7\), expected \(2, 4, 6, 7",
    ),
    ErrorInput("beliefs_dtype", MEAN_FIELD, _casting("beliefs", torch.float32), T, "float32, expected .* as base"),
    ErrorInput(
        "valid", MEAN_FIELD, _setting(padding=0), V, r"an output of 4 x 5 pixels, expected one of 6 x 7 as base"
    ),
    ErrorInput("wide", MEAN_FIELD, _setting(padding=2), V, r"an output of 8 x 9 pixels, expected one of 6 x 7 as base"),
    ErrorInput(
        "even", MEAN_FIELD, _reshaping("weight", 4, 4, 2, 2), V, r"got kernel_size \(2, 2\), expected odd sizes"
    ),
    ErrorInput(
        "kernel_channels", MEAN_FIELD, _reshaping("kernel", 2, 4, 3, 3, 6, 7), V, r"expected \(2, 1, .* \(base is \("
    ),
    ErrorInput("kernel_dtype", MEAN_FIELD, _casting("kernel", torch.float32), T, "expected torch.float64 as base"),
    ErrorInput(
        "outputs", MEAN_FIELD, _reshaping("weight", 5, 4, 3, 3), V, r"got weight \(5, 4, 3, 3\), expected \(4, 4, k_h"
    ),
    ErrorInput("shared", MEAN_FIELD, _setting(shared_filters=True), V, r"expected \(1, 1, k_h, k_w\) with shared_fil"),
    ErrorInput("weight_dtype", MEAN_FIELD, _casting("weight", torch.float16), T, "got weight of dtype torch.float16"),
    ErrorInput(
        "message_weight", MEAN_FIELD, _setting(message_weight=torch.ones(())), T, "message_weight of type Tensor, expec"
    ),
)


@pytest.mark.parametrize("wrong", ERROR_INPUTS, ids=lambda wrong: f"{wrong.operator}-{wrong.name}")
def test_error_input(backend: Backend, wrong: ErrorInput) -> None:
    """The error names the operator and the argument, what it got and what it expected."""
    dtype_or_skip(backend, "float64")
    arguments = {
        name: value.to(device_of(backend)) if isinstance(value, torch.Tensor) else value
        for name, value in wrong.change(_right_call(wrong.operator)).items()
    }
    with pytest.raises(wrong.error, match=wrong.message) as raised:
        getattr(functional, wrong.operator)(**arguments, backend=backend)
    assert str(raised.value).startswith(f"{wrong.operator}: "), "got a message that does not begin with the operator"


@pytest.mark.parametrize("operator", sorted({wrong.operator for wrong in ERROR_INPUTS}))
def test_right_call_is_right(backend: Backend, operator: str) -> None:
    """What the wrong calls are made from is itself accepted, so that each is wrong in one thing only."""
    dtype_or_skip(backend, "float64")
    arguments = {
        name: value.to(device_of(backend)) if isinstance(value, torch.Tensor) else value
        for name, value in _right_call(operator).items()
    }
    output = getattr(functional, operator)(**arguments, backend=backend)
    assert torch.isfinite(output[0] if isinstance(output, tuple) else output).all()
