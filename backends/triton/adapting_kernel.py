"""The adapting kernel of a call: its tensors as arguments of kernels, its values, its gradients."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from pacbench.compiled.operands import ConvolutionOperands, KernelOperands
from pacbench.compiled.storage import dense

from . import walks
from .launching import Launch

GIVEN = 2
"""The number of an adapting kernel that is given, beside those of `pacbench.compiled.encoding.FORMS`."""


class Adapting:
    """The adapting kernel of a call: its tensors and its form, as keyword arguments of kernels.

    Centres that are None are the guide itself.
    """

    def __init__(self, operands: ConvolutionOperands | KernelOperands, accumulator: torch.dtype) -> None:
        self.window, self.code, self.accumulator = operands.window_code, operands.adapting_code, accumulator
        self.forward_walk = walks.forward(self.window.window)
        given = dense(operands.kernel) if isinstance(operands, ConvolutionOperands) else None
        self.guide, self.mask, self.given = dense(operands.guide), dense(operands.mask), given
        self.centres = self.guide if operands.centres is None else dense(operands.centres)
        self.inv_alpha, self.inv_lambda = dense(operands.inv_alpha), dense(operands.inv_lambda)
        code, mask = self.code, self.mask
        self.form = GIVEN if given is not None else code.form
        self.channel_wise = bool(code.channel_wise) if given is None else given.shape[1] > 1
        self.scaled = given is None and (bool(code.normalize) or mask is not None)
        self.scale: Tensor | None = None
        self.output_mask: Tensor | None = None
        if self.scaled:
            self._sum_over_windows()

    def _sum_over_windows(self) -> None:
        """What K is divided by, and which windows hold anything valid."""
        sizes = self.alone()
        plane = self._centres().shape[2:]
        images = self._images()
        self.scale = self._guide().new_empty((images, *plane), dtype=self.accumulator)
        batch = self._guide().shape[0]
        if self.mask is not None:
            self.output_mask = self._guide().new_empty((batch, 1, *plane), dtype=torch.bool)
        bytes_of_mask = None if self.output_mask is None else self.output_mask.view(torch.int8)
        Launch("window_sums", self.scale, self.accumulator).over(
            plane, images, guide_channels=sizes["guide_channels"]
        ).run(scale=self.scale, output_mask=bytes_of_mask, NORMALIZE=bool(self.code.normalize), **sizes)

    def _guide(self) -> Tensor:
        if self.guide is None:
            raise ValueError("triton: got no guide, expected one where no kernel is given")
        return self.guide

    def _centres(self) -> Tensor:
        return self._guide() if self.centres is None else self.centres

    def _images(self) -> int:
        batch, channels = self._guide().shape[:2]
        return batch * channels if self.channel_wise else batch

    def steps(self) -> tuple[int, int]:
        """How far apart the parameters of two channels are: 0 where all share one."""
        shared = (self.inv_alpha is None or self.inv_alpha.numel() == 1,
                  self.inv_lambda is None or self.inv_lambda.numel() == 1)  # fmt: skip
        return int(not shared[0]), int(not shared[1])

    def alone(self) -> dict[str, Any]:
        """Arguments of the kernels of `kernel_alone.py` and `guide_gradient.py`."""
        guide, centres = self._guide(), self._centres()
        channels = guide.shape[1]
        alpha_step, exponent_step = self.steps()
        height, width = self.window.mask_size(guide.shape[2], guide.shape[3])
        return {
            "guide": guide,
            "centres": centres,
            "mask": self.mask,
            "alpha": self.inv_alpha,
            "exponent": self.inv_lambda,
            "group": channels if self.channel_wise else 1,
            "guide_channels": 1 if self.channel_wise else channels,
            "alpha_step": alpha_step,
            "exponent_step": exponent_step,
            "guide_height": guide.shape[2],
            "guide_width": guide.shape[3],
            "height": centres.shape[2],
            "width": centres.shape[3],
            "input_height": height,
            "input_width": width,
            "ROWS": tuple(self.forward_walk.rows),
            "COLUMNS": tuple(self.forward_walk.columns),
            "FORM": self.code.form,
            "ASYMMETRIC": bool(self.code.asymmetric),
        }

    def along(self, walk: walks.Walk, *, forward: bool) -> dict[str, Any]:
        """Arguments of the kernels that compute K on the fly."""
        guide, centres = self.guide, self.centres
        fixed, moving = (centres, guide) if forward else (guide, centres)
        return {
            "given": self.given,
            "fixed": fixed,
            "moving": moving,
            "scale": self.scale,
            "mask": self.mask if self.given is None else None,
            "alpha": self.inv_alpha,
            "exponent": self.inv_lambda,
            "guide_channels": 1 if guide is None else guide.shape[1],
            "fixed_height": 1 if fixed is None else fixed.shape[2],
            "fixed_width": 1 if fixed is None else fixed.shape[3],
            "moving_height": 1 if moving is None else moving.shape[2],
            "moving_width": 1 if moving is None else moving.shape[3],
            "ROWS": tuple(walk.rows),
            "COLUMNS": tuple(walk.columns),
            "FORM": self.form,
            "ASYMMETRIC": bool(self.code.asymmetric),
            "FORWARD": forward,
            "FIXED_IS_TARGET": walk.fixed_is_target,
            "MOVING_IS_SOURCE": walk.moving_is_source,
        }

    def mask_or_empty(self, like: Tensor) -> Tensor:
        """The output mask as an op returns it: empty without a mask."""
        return like.new_empty((0,), dtype=torch.bool) if self.output_mask is None else self.output_mask

    def values(self, dtype: torch.dtype | None = None) -> Tensor:
        """K itself, (N, 1 or G, k_h, k_w, H', W')."""
        guide, plane = self._guide(), self._centres().shape[2:]
        shape = (guide.shape[0], guide.shape[1] if self.channel_wise else 1, *self.window[:2], *plane)
        output = guide.new_empty(shape, dtype=dtype or self.accumulator)
        arguments = self.alone()
        Launch("adapting_kernel", output, self.accumulator).over(
            plane, self._images(), guide_channels=arguments["guide_channels"]
        ).run(output=output, scale=self.scale, ONLY_INSIDE=self.scaled, **arguments)
        return output

    def gradients(self, grad: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """Gradients to guide, centres, inv_alpha and inv_lambda by that to K, those that are named."""
        guide, centres, arguments = self._guide(), self._centres(), self.alone()
        plane, images = centres.shape[2:], self._images()
        normalize = bool(self.code.normalize)
        shares = grad.new_empty((images, *plane), dtype=self.accumulator) if normalize else None
        common = {**arguments, "grad": dense(grad), "scale": self.scale, "shares": shares,
                  "NORMALIZE": normalize, "ONLY_INSIDE": self.scaled}  # fmt: skip
        channels = arguments["guide_channels"]
        to_centres = torch.empty_like(centres, dtype=self.accumulator)
        launch = Launch("centre_gradient", to_centres, self.accumulator).over(
            plane, images, guide_channels=channels, blocks_of_guide=True
        )
        inverse = self.code.form == 1
        sums = [grad.new_empty(launch.tiles * images, dtype=torch.float64) for _ in range(2 if inverse else 0)]
        to_alpha, to_exponent = sums or (None, None)
        launch.run(grad_centres=to_centres, grad_alpha=to_alpha, grad_exponent=to_exponent, **common)
        found: dict[str, Tensor] = {}
        if "guide" in names:
            to_guide = torch.empty_like(guide, dtype=self.accumulator)
            Launch("tap_gradient", to_guide, self.accumulator).over(
                guide.shape[2:], images, guide_channels=channels, blocks_of_guide=True
            ).run(grad_guide=to_guide, **common)
            found["guide"] = to_guide + to_centres if self.centres is self.guide else to_guide
        if "centres" in names:
            found["centres"] = to_centres
        for name, parts in (("inv_alpha", to_alpha), ("inv_lambda", to_exponent)):
            if name in names and parts is not None:
                parameter = getattr(self, name)
                by_group = parts.view(guide.shape[0], arguments["group"], launch.tiles)
                found[name] = by_group.sum((0, 2)) if parameter.numel() > 1 else by_group.sum().expand(1)
        return found
