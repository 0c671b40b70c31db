"""The ops of `ops.py` by launches of the kernels: dense tensors in, new tensors out.

16-bit tensors are read and written as they are; sums are float32. The functions are those that
`pacbench.compiled.ops.FusedComputing` describes.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pacbench.compiled.operands import ConvolutionOperands, KernelOperands, MessageOperands
from pacbench.compiled.storage import wide, wide_dtype

from .adapting_kernel import Adapting
from .convolution import Convolution


def convolution(operands: ConvolutionOperands) -> tuple[Tensor, Tensor]:
    """Output (N, O, H', W') and output mask (bool, N, 1, H', W'; without a mask empty)."""
    problem = Convolution(operands)
    return problem.output(), problem.adapting.mask_or_empty(problem.input)


def convolution_backward(
    grad: Tensor, operands: ConvolutionOperands, wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Gradients to the tensors that are wanted."""
    return Convolution(operands).gradients(grad.contiguous(), wanted)


def adapting_kernel(operands: KernelOperands) -> tuple[Tensor, Tensor]:
    """Kernel (N, 1 or G, k_h, k_w, H', W') and output mask, as of `convolution`."""
    guide = operands.guide
    problem = Adapting(operands, wide_dtype(guide.dtype))
    return problem.values(guide.dtype), problem.mask_or_empty(guide)


def adapting_kernel_backward(grad: Tensor, operands: KernelOperands, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients to guide, centres, alpha and lambda that are wanted."""
    return Adapting(operands, wide_dtype(operands.guide.dtype)).gradients(grad, wanted)


def mean_field_update(base: Tensor, operands: MessageOperands) -> Tensor:
    """The base + message_weight · the convolution of softmax(beliefs, 1), (N, C, H, W): no message is stored."""
    return _of_probabilities(operands).output(base.contiguous(), operands.message_weight)


def mean_field_update_backward(
    grad: Tensor, operands: MessageOperands, wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Gradients to beliefs, kernel and weight that are wanted."""
    problem = _of_probabilities(operands)
    probabilities = problem.input
    scaled = grad.to(probabilities.dtype).contiguous() * operands.message_weight
    found = problem.gradients(scaled, ["input" if name == "beliefs" else name for name in wanted])
    if "input" in found:
        weighted = found.pop("input") * probabilities
        found["beliefs"] = weighted - probabilities * weighted.sum(1, keepdim=True)
    return found


def _of_probabilities(operands: MessageOperands) -> Convolution:
    """The message's convolution; 16-bit beliefs give float32 probabilities, so that none is rounded on the way."""
    probabilities = wide(operands.beliefs).softmax(1)
    return Convolution(
        ConvolutionOperands(
            probabilities,
            None,
            None,
            None,
            operands.kernel,
            operands.weight,
            None,
            None,
            None,
            operands.window,
            [],
            False,
        )
    )
