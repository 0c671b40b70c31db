"""Which functions are compiled: one for each operator, window and form, made on first use and kept for the process.

Inside a function that a user compiles they serve uncompiled, and become part of that graph.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pacbench.geometry import Pair, Window

from .compiled_function import CompiledFunction, Formulation, size_of_output
from .formulation import KernelForm, adapting_kernel, convolved, pooled

_made: dict[tuple[str, Window, KernelForm | None, bool], CompiledFunction] = {}


def packernel2d(window: Window, form: KernelForm) -> Callable[..., Tensor]:
    """(guide) → kernel."""
    return _function("packernel2d", window, form, False)


def convolution(window: Window, shared_filters: bool) -> Callable[..., Tensor]:
    """(input, kernel, weight, bias) → output."""
    return _function("convolution", window, None, shared_filters)


def guided_convolution(window: Window, form: KernelForm, shared_filters: bool) -> Callable[..., Tensor]:
    """(input, guide, weight, bias) → output."""
    return _function("convolution", window, form, shared_filters)


def pooling(window: Window) -> Callable[..., Tensor]:
    """(input, kernel) → output."""
    return _function("pooling", window, None, False)


def guided_pooling(window: Window, form: KernelForm) -> Callable[..., Tensor]:
    """(input, guide) → output."""
    return _function("pooling", window, form, False)


def _function(kind: str, window: Window, form: KernelForm | None, shared_filters: bool) -> Callable[..., Tensor]:
    window_of_output = window.over_guide if kind == "packernel2d" else window
    if torch.compiler.is_compiling():
        formulation = _formulation(kind, window, form, shared_filters)
        return lambda image, *tensors: formulation(size_of_output(image, window_of_output), image, *tensors)
    key = (kind, window, form, shared_filters)
    if key not in _made:
        _made[key] = CompiledFunction(_formulation(*key), window_of_output)
    return _made[key]


def _formulation(kind: str, window: Window, form: KernelForm | None, shared_filters: bool) -> Formulation:
    def kernel_of(kernel_or_guide: Tensor, size: Pair) -> Tensor:
        return kernel_or_guide if form is None else adapting_kernel(kernel_or_guide, window, form, size)

    def packernel2d(output: Tensor, guide: Tensor) -> Tensor:
        return kernel_of(guide, _size(output))

    def convolution(
        output: Tensor, input: Tensor, kernel_or_guide: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        kernel = kernel_of(kernel_or_guide, _size(output))
        return convolved(input, kernel, weight, bias, window, shared_filters, _size(output))

    def pooling(output: Tensor, input: Tensor, kernel_or_guide: Tensor) -> Tensor:
        return pooled(input, kernel_of(kernel_or_guide, _size(output)), window, _size(output))

    functions: dict[str, Formulation] = {
        "packernel2d": packernel2d,
        "convolution": convolution,
        "pooling": pooling,
    }
    return functions[kind]


def _size(image: Tensor) -> Pair:
    return image.shape[1], image.shape[2]
