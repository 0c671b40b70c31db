"""The calls whose launches are compiled, budgeted and predicted: what users run, in the sizes that they run it.

Each runs on meta tensors, which have shapes and no memory; `launching.planned` writes down the launches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pacbench.adapting_kernel import AdaptingKernel
from pacbench.compiled.encoding import AdaptingCode, WindowCode
from pacbench.compiled.operands import (
    ConvolutionOperands,
    KernelOperands,
    MessageOperands,
    differentiated,
    wanted_tensors,
)
from pacbench.compiled.storage import wide_dtype
from pacbench.geometry import Window

from . import computing
from .launching import PlannedLaunch, planned

HALVES = ("bfloat16", "float16")
FLOATS = ("float32", "tf32")
ALL = ("tf32", "float32", *HALVES, "float64")


@dataclass(frozen=True)
class Workload:
    """One call and its gradients.

    Attributes:
        name: Such as ``conv5x5-32``.
        operator: ``conv``, ``transposed``, ``shared``, ``pool``, ``kernel`` or ``mean_field``.
        channels: Channels in and out.
        size: Image height and width; of the input.
        kernel_size: Taps along each axis.
        dtypes: Dtypes of input and filter, ``tf32`` being float32 multiplied in tf32.
        dilation: Spacing of the taps.
        stride: Of the window; of the input in the output of a transposed operator.
        guide: Channels of the guide; 0: the adapting kernel is given.
        adapting: Form of the adapting kernel.
        masked: Whether a mask is given.
    """

    name: str
    operator: str
    channels: int
    size: tuple[int, int]
    kernel_size: int
    dtypes: tuple[str, ...]
    dilation: int = 1
    stride: int = 1
    guide: int = 5
    adapting: AdaptingKernel = field(default_factory=AdaptingKernel)
    masked: bool = False

    @property
    def window(self) -> Window:
        """Its window: that of the same size as the image, or a `stride`-th of it."""
        reach = (self.kernel_size - 1) * self.dilation
        transposed = self.operator == "transposed"
        return Window(
            (self.kernel_size,) * 2, (self.stride,) * 2, (reach // 2,) * 2,
            ((self.stride - 1) if transposed else 0,) * 2, (self.dilation,) * 2, transposed,
        )  # fmt: skip


WORKLOADS: tuple[Workload, ...] = (
    Workload("conv5x5-32", "conv", 32, (256, 256), 5, ALL),
    Workload("conv3x3-32", "conv", 32, (256, 256), 3, ("tf32", *HALVES)),
    Workload("conv5x5-64", "conv", 64, (128, 128), 5, ("tf32", *HALVES)),
    Workload("conv3x3-64", "conv", 64, (128, 128), 3, ("tf32", *HALVES)),
    Workload("upsampling5x5x2-32", "transposed", 32, (128, 128), 5, ("tf32", "bfloat16"), stride=2),
    Workload("crf5x5-21", "mean_field", 21, (512, 512), 5, FLOATS, dilation=32, guide=0),
    Workload("crf-kernel5x5", "kernel", 1, (512, 512), 5, ("float32",), dilation=32),
    Workload("shared5x5-21", "shared", 21, (512, 512), 5, ("float32", "bfloat16"), dilation=32, guide=0),
    Workload("pool5x5-32", "pool", 32, (256, 256), 5, ("float32", "bfloat16")),
    Workload(
        "pool3x3-masked-inverse", "pool", 32, (256, 256), 3, ("float32",), stride=2, masked=True,
        adapting=AdaptingKernel("inv", normalize=True),
    ),
    Workload("pool3x3-channel_wise", "pool", 16, (256, 256), 3, ("float32",), guide=16,
             adapting=AdaptingKernel(channel_wise=True)),
)  # fmt: skip
BY_NAME = {workload.name: workload for workload in WORKLOADS}


def launches(workload: Workload, dtype: str, target: str) -> list[PlannedLaunch]:
    """The launches of a workload and its gradients in a dtype, on a GPU of that architecture."""
    with planned(target, tf32=dtype == "tf32") as found:
        _run(workload, torch.float32 if dtype == "tf32" else getattr(torch, dtype))
    return found


def _run(workload: Workload, dtype: torch.dtype) -> None:
    window, channels, (height, width) = workload.window, workload.channels, workload.size
    out_height, out_width = window.output_size(workload.size)
    wide = wide_dtype(dtype)

    def made(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
        return torch.empty(shape, device="meta", dtype=dtype)

    code = WindowCode.write(window)
    guide_size = (out_height, out_width) if window.transposed else (height, width)
    guide = made(1, workload.guide, *guide_size, dtype=wide) if workload.guide else None
    centres = None
    if workload.stride > 1 and not window.transposed:
        centres = made(1, workload.guide, out_height, out_width, dtype=wide)
    mask = made(1, 1, height, width, dtype=wide) if workload.masked else None
    inverse = workload.adapting.form == "inv"
    alpha, exponent = (made(1, dtype=wide), made(1, dtype=wide)) if inverse else (None, None)
    given = None if guide is not None else made(1, 1, *window.kernel_size, out_height, out_width, dtype=wide)
    adapting = AdaptingCode.write(workload.adapting) if guide is not None else []
    input, filters = made(1, channels, height, width), made(channels, channels, *window.kernel_size)
    if workload.operator == "kernel" and guide is not None:
        kernel_operands = KernelOperands(guide, None, None, None, None, code, adapting)
        output, _ = computing.adapting_kernel(kernel_operands)
        computing.adapting_kernel_backward(output, kernel_operands, {"guide": guide})
        return
    if workload.operator == "mean_field" and given is not None:
        message = MessageOperands(input, given, filters, code, -1.0)
        output = computing.mean_field_update(input, message)
        computing.mean_field_update_backward(output, message, wanted_tensors(message, [True] * 3))
        return
    shared, pooled = workload.operator == "shared", workload.operator == "pool"
    weight = None if pooled else made(1, 1, *window.kernel_size) if shared else filters
    operands = ConvolutionOperands(
        input, guide, centres, mask, given, weight, None, alpha, exponent, code, adapting, shared
    )
    output, _ = computing.convolution(operands)
    present = [getattr(operands, name) is not None for name in differentiated(ConvolutionOperands)]
    computing.convolution_backward(output, operands, wanted_tensors(operands, present))
