"""How far a backend's float32 outputs and gradients lie from float64, at the sizes that users have.

The yardstick is the reference backend in float64. It stores k² copies of what it reads, so it works through the image
in strips of rows, each with the rows that its taps reach, and computes a strip again when gradients pass through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pacbench.backend import Backend
from pacbench.functional import pacconv2d, packernel2d

from .cases import OperatorCase
from .subjects import Subject
from .workload import Tensors, pac_operator

_STRIP_BYTES = 300e6


def relative_errors(subject: Subject, backend: Backend, oracle: Backend) -> dict[str, float]:
    """Largest error divided by the largest value, of the output and of the gradient to each differentiated tensor.

    Args:
        subject: The case.
        backend: Computes it in float32.
        oracle: Computes it in float64.

    Raises:
        NotSupportedError: one of the backends does not support the case.
    """
    given = subject.tensors()
    found = subject.outputs(subject.run(backend), given)
    doubled = {name: tensor.double() for name, tensor in given.items()}
    expected = subject.outputs(partial(oracle_of(subject), backend=oracle), doubled)
    return {name: _relative_error(found[name], expected[name]) for name in expected}


def oracle_of(subject: Subject) -> Callable[..., Tensor]:
    """The case as a function of its tensors and a backend, in strips of rows."""
    if subject.layer is not None:
        return partial(_layer, subject.case)
    return partial(_operator, subject.case)


def _operator(case: OperatorCase, given: Tensors, *, backend: Backend) -> Tensor:
    if case.window.transposed:
        return pac_operator(case, given, backend)
    rest = {name: tensor for name, tensor in given.items() if name not in ("input", "guide")}

    def strip(rows: OperatorCase, input: Tensor, guide: Tensor) -> Tensor:
        return pac_operator(rows, {"input": input, "guide": guide, **rest}, backend)

    return _in_strips(case, strip, given["input"], given["guide"])


def _layer(case: OperatorCase, given: Tensors, *, backend: Backend) -> Tensor:
    """Mean-field steps by operators: the beliefs filtered with the guide's kernel, taken from the unary."""

    def message(rows: OperatorCase, beliefs: Tensor, guide: Tensor) -> Tensor:
        window = rows.window
        kernel, _ = packernel2d(guide, kernel_size=window.kernel_size, dilation=window.dilation, backend=backend)
        return pacconv2d(beliefs, kernel, given["weight_0"], None, dilation=window.dilation, backend=backend)

    logits = given["unary"]
    for _ in range(case.messages):
        logits = given["unary"] - _in_strips(case, message, logits.softmax(dim=1), given["guide"])
    return logits


def _in_strips(
    case: OperatorCase, operator: Callable[[OperatorCase, Tensor, Tensor], Tensor], input: Tensor, guide: Tensor
) -> Tensor:
    """An operator of stride 1, strip by strip; padding with zeros beforehand is what its own padding means."""
    rows, columns = case.window.padding
    padded = [F.pad(tensor, (columns, columns, rows, rows)) for tensor in (input, guide)]
    reach = (case.window.kernel_size[0] - 1) * case.window.dilation[0]
    height, width = case.window.output_size(case.image)
    taps = case.window.kernel_size[0] * case.window.kernel_size[1]
    strip = max(1, int(_STRIP_BYTES / (8 * case.channels * taps * width)))
    free = replace(case, messages=0, window=replace(case.window, padding=(0, 0)))
    parts = []
    for first in range(0, height, strip):
        last = min(first + strip, height) + reach
        part = checkpoint(operator, free, *(tensor[:, :, first:last] for tensor in padded), use_reentrant=False)
        parts.append(part)
    return torch.cat(parts, dim=2)


def _relative_error(found: Tensor, expected: Tensor) -> float:
    largest = float(expected.abs().max())
    error = float((found.double() - expected).abs().max())
    return error / largest if largest else error


def worst(errors: Mapping[str, float], *, forward: bool) -> float:
    """The output's error, or the largest of output and gradients."""
    return errors["output"] if forward else max(errors.values())
