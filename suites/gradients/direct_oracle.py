"""The operators by their definitions: loops over output pixels and taps in float64, one tap at a time.

Nothing here is shared with a backend but the argument names: no unfolding, no zero insertion, no convolution. Slow,
and meant for images of a few dozen pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pacbench.adapting_kernel import KernelType

from .cases import MEAN_FIELD, TRANSPOSED, Case
from .samples import Tensors, window_of

Array = NDArray[np.float64]


def expected(case: Case, tensors: Tensors) -> tuple[Array, ...]:
    """What `samples.call` must return for a case, from the definitions."""
    given = {name: tensor.detach().double().cpu().numpy() for name, tensor in tensors.items()}
    mask: Array | None = None
    if case.guided:
        kernel, mask = _kernel(case, given)
    else:
        kernel = given["kernel"]
    if case.operator == "packernel2d":
        output = kernel
    elif case.operator == MEAN_FIELD:
        message = _convolved(case, given | {"input": _probabilities(given["beliefs"])}, kernel)
        output = given["base"] + case.message_weight * message
    elif case.operator in {"pacpool2d", "guided_pacpool2d"}:
        output = _pooled(case, given, kernel)
    else:
        output = _convolved(case, given, kernel)
    return (output,) if mask is None else (output, mask)


def _taps(case: Case) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Every (output row, output column, tap row, tap column, offset of the tap from the window's centre)."""
    window = window_of(case)
    height, width = window.output_size(case.size)
    for y in range(height):
        for x in range(width):
            for ky in range(window.kernel_size[0]):
                for kx in range(window.kernel_size[1]):
                    offset_y = (ky - window.kernel_size[0] // 2) * window.dilation[0]
                    offset_x = (kx - window.kernel_size[1] // 2) * window.dilation[1]
                    yield y, x, ky, kx, offset_y, offset_x


def _value_at(case: Case, y: int, x: int, ky: int, kx: int) -> tuple[int, int] | None:
    """The input pixel that a tap of an output pixel reads, None where there is none (padding, inserted zero)."""
    window = window_of(case)
    place = []
    for o, k, axis in ((y, ky, 0), (x, kx, 1)):
        if window.transposed:
            spread = o + k * window.dilation[axis] - (window.reach[axis] - window.padding[axis])
            if spread % window.stride[axis]:
                return None
            at = spread // window.stride[axis]
        else:
            at = o * window.stride[axis] - window.padding[axis] + k * window.dilation[axis]
        if not 0 <= at < case.size[axis]:
            return None
        place.append(at)
    return place[0], place[1]


def _centre(case: Case, y: int, x: int) -> tuple[int, int]:
    """Where an output pixel's window has its centre, in the guide's pixels."""
    window = window_of(case)
    if window.transposed:
        return y, x
    return (
        y * window.stride[0] - window.padding[0] + window.reach[0] // 2,
        x * window.stride[1] - window.padding[1] + window.reach[1] // 2,
    )


def _pixel(image: Array, n: int, y: int, x: int) -> Array:
    """All channels of a pixel; zeros outside the image."""
    if 0 <= y < image.shape[2] and 0 <= x < image.shape[3]:
        return image[n, :, y, x]
    return np.zeros(image.shape[1])


def _smoothing(case: Case, given: dict[str, Array]) -> Array:
    kind = case.smooth_kernel_type
    if kind == "none":
        return np.ones((1, 1))
    if kind == "gaussian":
        return np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
    if kind.startswith("average_"):
        size = int(kind.removeprefix("average_"))
        return np.full((size, size), 1 / size**2)
    learnt: Array = given["smooth_kernel"][0, 0]
    return learnt


def _kernel(case: Case, given: dict[str, Array]) -> tuple[Array, Array | None]:
    guide, mask, window = given["guide"], given.get("mask"), window_of(case)
    height, width = window.output_size(case.size)
    kind, smoothing = KernelType.parse(case.kernel_type, case.operator), _smoothing(case, given)
    alpha = given.get("inv_alpha", np.array([kind.alpha]))
    exponent = given.get("inv_lambda", np.array([kind.exponent]))
    channels = guide.shape[1] if case.channel_wise else 1
    kernel = np.zeros((case.batch, channels, *window.kernel_size, height, width))
    inside = np.zeros((*window.kernel_size, height, width))
    valid = np.zeros((case.batch, *window.kernel_size, height, width))
    for y, x, ky, kx, offset_y, offset_x in _taps(case):
        cy, cx = _centre(case, y, x)
        place = _value_at(case, y, x, ky, kx)
        inside[ky, kx, y, x] = place is not None
        for n in range(case.batch):
            centre = np.zeros(guide.shape[1])
            for (sy, sx), share in np.ndenumerate(smoothing):
                at_y, at_x = cy + sy - smoothing.shape[0] // 2, cx + sx - smoothing.shape[1] // 2
                centre += share * _pixel(guide, n, at_y, at_x)
            difference: Array = _pixel(guide, n, cy + offset_y, cx + offset_x) - centre
            if kind.asymmetric:
                difference = np.maximum(difference, 0)
            distance: Array = difference**2 if case.channel_wise else np.sum(difference**2, keepdims=True)
            value = np.exp(-distance / 2) if kind.form == "gaussian" else alpha + (distance + 1e-4) ** (exponent / 2)
            kernel[n, :, ky, kx, y, x] = value
            if place is not None:
                valid[n, ky, kx, y, x] = 1 if mask is None else mask[n, 0, place[0], place[1]]
    if mask is None and not case.normalize_kernel:
        return kernel, None
    kernel = kernel * valid[:, None]
    norm: Array
    if case.normalize_kernel:
        norm = kernel.sum((2, 3), keepdims=True)
    else:
        valid_share: Array = _ratio(valid.sum((1, 2)), np.broadcast_to(inside.sum((0, 1)), (case.batch, height, width)))
        norm = valid_share[:, None, None, None]
    normalised = _ratio(kernel, np.broadcast_to(norm, kernel.shape))
    return normalised, None if mask is None else (valid != 0).any((1, 2))[:, None].astype(np.float64)


def _ratio(numerator: Array, denominator: Array) -> Array:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _pooled(case: Case, given: dict[str, Array], kernel: Array) -> Array:
    height, width = window_of(case).output_size(case.size)
    output = np.zeros((case.batch, case.channels, height, width))
    for y, x, ky, kx, _, _ in _taps(case):
        place = _value_at(case, y, x, ky, kx)
        if place is not None:
            output[:, :, y, x] += kernel[:, :, ky, kx, y, x] * given["input"][:, :, place[0], place[1]]
    return output


def _probabilities(beliefs: Array) -> Array:
    """Softmax over the classes of each pixel."""
    probabilities = np.zeros_like(beliefs)
    for n, y, x in np.ndindex(beliefs.shape[0], *beliefs.shape[2:]):
        exponentials = np.exp(beliefs[n, :, y, x] - np.max(beliefs[n, :, y, x]))
        probabilities[n, :, y, x] = exponentials / np.sum(exponentials)
    return probabilities


def _convolved(case: Case, given: dict[str, Array], kernel: Array) -> Array:
    height, width = window_of(case).output_size(case.size)
    weight = given["weight"]
    if case.shared_filters:
        weight = weight * np.eye(case.channels)[:, :, None, None]
    elif case.operator in TRANSPOSED:
        weight = weight.transpose(1, 0, 2, 3)
    output = np.zeros((case.batch, weight.shape[0], height, width))
    for y, x, ky, kx, _, _ in _taps(case):
        place = _value_at(case, y, x, ky, kx)
        if place is not None:
            scaled = kernel[:, :, ky, kx, y, x] * given["input"][:, :, place[0], place[1]]
            output[:, :, y, x] += scaled @ weight[:, :, ky, kx].T
    return output + given["bias"][None, :, None, None] if "bias" in given else output
