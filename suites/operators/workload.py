"""What is timed: a case's tensors, and the calls on them, by a backend or by plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from pacbench import functional
from pacbench.backend import Backend

from .cases import Direction, OperatorCase, Shape

_SEED = 1904_05373

Tensors = Mapping[str, Tensor]
Operator = Callable[[Tensor], Tensor]


class Differentiated(Protocol):
    """What a timed call must know of its case: an operator's, or a whole model's."""

    @property
    def output_shape(self) -> Shape:
        """Shape of the output."""

    @property
    def differentiated(self) -> tuple[str, ...]:
        """Tensors that the backward pass has a gradient to."""


def tensors(case: OperatorCase, device: str = "cpu") -> dict[str, Tensor]:
    """A case's arguments; the same in every process.

    The guide is scaled so that d² between two pixels is 2 on average: kernels are neither all 0 nor all 1. A given
    kernel sums to 1 over each window, as one that a network predicts.
    """
    generator = torch.Generator().manual_seed(_SEED)
    made = {name: torch.randn(shape, generator=generator) for name, shape in case.shapes.items()}
    if "guide" in made:
        made["guide"] /= case.guide_channels**0.5
    if "kernel" in made:
        made["kernel"] = made["kernel"].flatten(2, 3).softmax(2).view_as(made["kernel"])
    if "weight" in made:
        made["weight"] /= (case.channels * case.window.kernel_size[0] * case.window.kernel_size[1]) ** 0.5
    return {name: tensor.to(device) for name, tensor in made.items()}


def pac_operator(case: OperatorCase, given: Tensors, backend: Backend) -> Tensor:
    """The case by a backend: the fused, guide-taking form, a given kernel, or a kernel and the messages that use it."""
    window = case.window
    if case.messages:
        kernel, _ = functional.packernel2d(
            given["guide"], kernel_size=window.kernel_size, padding=window.padding, dilation=window.dilation,
            backend=backend,
        )  # fmt: skip
        return _messages(
            case.messages,
            given["input"],
            lambda beliefs: functional.pacconv2d(
                beliefs, kernel, given["weight"], given["bias"], window.stride, window.padding, window.dilation,
                backend=backend,
            ),
        )  # fmt: skip
    output: Tensor
    if case.given_kernel:
        output = functional.pacpool2d(
            given["input"], given["kernel"], window.kernel_size, window.stride, window.padding, window.dilation,
            backend=backend,
        )  # fmt: skip
    elif case.pooling:
        output = functional.guided_pacpool2d(
            given["input"], given["guide"], window.kernel_size, window.stride, window.padding, window.dilation,
            backend=backend,
        )  # fmt: skip
    elif window.transposed:
        output = functional.guided_pacconv_transpose2d(
            given["input"], given["guide"], given["weight"], given["bias"], window.stride, window.padding,
            window.output_padding, window.dilation, backend=backend,
        )  # fmt: skip
    else:
        output = functional.guided_pacconv2d(
            given["input"], given["guide"], given["weight"], given["bias"], window.stride, window.padding,
            window.dilation, backend=backend,
        )  # fmt: skip
    return output


def plain_operator(case: OperatorCase, given: Tensors) -> Tensor:
    """The case by the plain torch operator of the same sizes, which takes no guide."""
    window = case.window
    if case.pooling:
        return F.avg_pool2d(given["input"], window.kernel_size, window.stride, window.padding)
    if window.transposed:
        return F.conv_transpose2d(
            given["input"], given["weight"], given["bias"], window.stride, window.padding, window.output_padding,
            1, window.dilation,
        )  # fmt: skip

    def convolution(input: Tensor) -> Tensor:
        return F.conv2d(input, given["weight"], given["bias"], window.stride, window.padding, window.dilation)

    return _messages(case.messages, given["input"], convolution) if case.messages else convolution(given["input"])


def _messages(count: int, unary: Tensor, operator: Operator) -> Tensor:
    """Mean-field steps as `PacCRF` makes them: logits of the beliefs after `count` messages."""
    logits = unary
    for _ in range(count):
        logits = unary - operator(logits.softmax(dim=1))
    return logits


def timed_call(
    run: Callable[[Tensors], Tensor], case: Differentiated, direction: Direction, given: Tensors
) -> Callable[[], Tensor]:
    """A call of one direction on a case's tensors: forward without gradients, or forward and all gradients.

    The call returns the output, so that its shape and values can be checked.
    """
    if direction == "forward":

        def forward() -> Tensor:
            with torch.no_grad():
                return run(given)

        return forward

    leaves = {name: tensor.detach().requires_grad_(name in case.differentiated) for name, tensor in given.items()}
    targets = [leaves[name] for name in case.differentiated]
    gradient = output_gradient(case).to(targets[0])

    def forward_backward() -> Tensor:
        output = run(leaves)
        torch.autograd.grad(output, targets, gradient)
        return output.detach()

    return forward_backward


def output_gradient(case: Differentiated) -> Tensor:
    """The gradient that reaches a case's output, on the CPU in float32; the same in every process."""
    return torch.randn(case.output_shape, generator=torch.Generator().manual_seed(_SEED + 1))
