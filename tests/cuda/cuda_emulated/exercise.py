"""Every kernel once, forward and backward, on sizes that no tile divides, against `unfold`: run under a sanitizer.

Example: ``PACBENCH_CUDA_EMULATED_LIBRARY=FILE python -m cuda_emulated.exercise``; leaves with 1 where a value is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pacbench import functional

from .backend import CudaEmulatedBackend

TOLERANCE = 1e-11


def _calls() -> dict[str, tuple[Callable[..., Any], dict[str, Tensor], dict[str, Any]]]:
    """Operators with tensors and options, by name."""
    torch.manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    image, guide, kernel = normal(2, 5, 11, 37), normal(2, 3, 11, 37) / 2, normal(2, 1, 3, 3, 11, 37)
    filters, shared, bias = normal(9, 5, 3, 3), normal(1, 1, 3, 3), normal(9)
    mask = (normal(2, 1, 11, 37) > 0).double()
    halved = {"stride": 2, "padding": 1}
    return {
        "tiled": (
            functional.guided_pacconv2d,
            {"input": image, "guide": guide, "weight": filters, "bias": bias, "mask": mask},
            {"padding": 1, "normalize_kernel": True},
        ),
        "tiled, kernel given": (
            functional.pacconv2d,
            {"input": image, "kernel": kernel, "weight": filters},
            {"padding": 1},
        ),
        "gathered": (
            functional.guided_pacconv2d,
            {"input": image, "guide": guide, "weight": filters},
            {**halved, "smooth_kernel_type": "gaussian", "kernel_type": "inv_0.3_0.8"},
        ),
        "transposed": (
            functional.guided_pacconv_transpose2d,
            {"input": image[:, :, :6, :19], "guide": guide, "weight": filters.transpose(0, 1)},
            halved,
        ),
        "shared filters": (
            functional.guided_pacconv2d,
            {"input": image, "guide": guide, "weight": shared, "bias": bias[:5]},
            {"padding": 1, "shared_filters": True},
        ),
        "pooling": (
            functional.guided_pacpool2d,
            {
                "input": image[:, :3],
                "guide": guide,
                "inv_alpha": normal(3).abs() + 0.1,
                "inv_lambda": normal(3) / 9 + 1,
            },
            {"kernel_size": 3, "padding": 1, "channel_wise": True, "kernel_type": "inv_0.3_0.8"},
        ),
        "mean field": (
            functional.mean_field_update,
            {"base": image, "beliefs": image, "kernel": kernel, "weight": filters[:5]},
            {"padding": 1},
        ),
        "kernel": (
            functional.packernel2d,
            {"guide": guide},
            {"kernel_size": 3, "padding": 1, "normalize_kernel": True},
        ),
    }


def _results(function: Callable[..., Any], tensors: dict[str, Tensor], options: dict[str, Any]) -> dict[str, Tensor]:
    leaves = {name: tensor.detach().clone().requires_grad_(name != "mask") for name, tensor in tensors.items()}
    output = function(**leaves, **options)
    output = output[0] if isinstance(output, tuple) else output
    differentiated = [name for name in leaves if name != "mask"]
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    gradients = torch.autograd.grad(output, [leaves[name] for name in differentiated], weights)
    return {"output": output.detach(), **dict(zip(differentiated, gradients, strict=True))}


def main() -> int:
    """Make all calls, or those that the command line names; say what is wrong."""
    torch.set_num_threads(1)
    chosen = sys.argv[1:]
    backend, wrong = CudaEmulatedBackend(), 0
    for name, (function, tensors, options) in _calls().items():
        if chosen and name not in chosen:
            continue
        got = _results(function, tensors, {**options, "backend": backend})
        want = _results(function, tensors, {**options, "backend": "unfold"})
        for what, right in want.items():
            error = float((got[what] - right).abs().max() / right.abs().max())
            if not error <= TOLERANCE:
                sys.stdout.write(f"wrong: {name}: {what}: error {error:.1e} of the largest value\n")
                wrong = 1
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
