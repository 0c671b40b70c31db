"""Layers of pixel-adaptive convolution: `nn.Module`s with the parameters and state_dict keys that users know.

The layers hold what the functions of `pacbench.functional` take: filters, biases, and the parameters of the adapting
kernel. `backend` names the backend that serves a layer; without it the usual order decides at each call.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import arguments, functional
from ..adapting_kernel import KernelType, smooth_kernel_size
from ..arguments import PairLike
from ..backend import Backend
from ..geometry import Window
from . import fillers

GuidedOutput = Tensor | tuple[Tensor, Tensor]


class _PacLayer(nn.Module):
    """What all three layers share: the window and the parameters of the adapting kernel."""

    def __init__(
        self,
        window: Window,
        *,
        kernel_type: str,
        smooth_kernel_type: str,
        channel_wise: bool,
        normalize_kernel: bool,
        kernel_channels: int,
        backend: str | Backend | None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = window.kernel_size
        self.stride = window.stride
        self.padding = window.padding
        self.output_padding = window.output_padding
        self.dilation = window.dilation
        self.transposed = window.transposed
        self.kernel_type = kernel_type
        self.smooth_kernel_type = smooth_kernel_type
        self.channel_wise = channel_wise
        self.normalize_kernel = normalize_kernel
        self.backend = backend
        self._kind = KernelType.parse(kernel_type, name)
        self.inv_alpha: Tensor | None
        self.inv_lambda: Tensor | None
        self.smooth_kernel: Tensor | None
        self._register_inv_parameters(name, kernel_channels)
        self._register_smooth_kernel(name)

    def _register_inv_parameters(self, name: str, channels: int) -> None:
        kind = self._kind
        if kind.form == "gaussian":
            self.inv_alpha = self.inv_lambda = None
            return
        shape: tuple[int, ...] = ()
        if self.channel_wise and not kind.fixed:
            if channels <= 0:
                raise ValueError(
                    f"{name}: got channel_wise and kernel_type {self.kernel_type!r} without out_channels, "
                    "expected the number of channels"
                )
            shape = (channels,)
        for key, value in (("inv_alpha", kind.alpha), ("inv_lambda", kind.exponent)):
            tensor = torch.full(shape, value)
            if kind.fixed:
                self.register_buffer(key, tensor)
            else:
                self.register_parameter(key, nn.Parameter(tensor))

    def _register_smooth_kernel(self, name: str) -> None:
        size = smooth_kernel_size(self.smooth_kernel_type, name)
        if size is None:
            self.smooth_kernel = None
            return
        line = (
            torch.tensor([0.25, 0.5, 0.25]) if self.smooth_kernel_type == "gaussian" else torch.full((size,), 1 / size)
        )
        smooth_kernel = torch.outer(line, line)[None, None]
        if self.smooth_kernel_type.startswith("full_"):
            self.smooth_kernel = nn.Parameter(smooth_kernel)
        else:
            self.register_buffer("smooth_kernel", smooth_kernel)

    def reset_parameters(self) -> None:
        """Set the adapting kernel's learnt parameters back to their initial values."""
        with torch.no_grad():
            if isinstance(self.inv_alpha, nn.Parameter) and isinstance(self.inv_lambda, nn.Parameter):
                self.inv_alpha.fill_(self._kind.alpha)
                self.inv_lambda.fill_(self._kind.exponent)
            if isinstance(self.smooth_kernel, nn.Parameter):
                self.smooth_kernel.fill_(1 / self.smooth_kernel.numel())

    def _kernel_options(self) -> dict[str, Any]:
        return {
            "kernel_type": self.kernel_type,
            "smooth_kernel_type": self.smooth_kernel_type,
            "smooth_kernel": self.smooth_kernel,
            "inv_alpha": self.inv_alpha,
            "inv_lambda": self.inv_lambda,
            "normalize_kernel": self.normalize_kernel,
            "backend": self.backend,
        }

    def compute_kernel(self, guide: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Adapting kernel and output mask for a guide; see `pacbench.functional.packernel2d`."""
        return functional.packernel2d(
            guide,
            mask,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            channel_wise=self.channel_wise,
            transposed=self.transposed,
            **self._kernel_options(),
        )

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        parts = [f"kernel_size={self.kernel_size}", f"kernel_type={self.kernel_type}"]
        defaults = {"stride": (1, 1), "padding": (0, 0), "output_padding": (0, 0), "dilation": (1, 1)}
        parts += [f"{key}={getattr(self, key)}" for key, value in defaults.items() if getattr(self, key) != value]
        if self.smooth_kernel_type != "none":
            parts.append(f"smooth_kernel_type={self.smooth_kernel_type}")
        parts += [f"{key}=True" for key in ("channel_wise", "normalize_kernel") if getattr(self, key)]
        if self.backend is not None:
            parts.append(f"backend={self.backend if isinstance(self.backend, str) else self.backend.name}")
        return ", ".join(parts)


class _PacConvolution(_PacLayer):
    """What the convolution and the transposed convolution share: filter and bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        window: Window,
        *,
        bias: bool,
        kernel_type: str,
        smooth_kernel_type: str,
        normalize_kernel: bool,
        shared_filters: bool,
        filler: str,
        backend: str | Backend | None,
    ) -> None:
        super().__init__(
            window,
            kernel_type=kernel_type,
            smooth_kernel_type=smooth_kernel_type,
            channel_wise=False,
            normalize_kernel=normalize_kernel,
            kernel_channels=out_channels,
            backend=backend,
        )
        name = type(self).__name__
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.shared_filters = shared_filters
        self.filler = filler
        if shared_filters and in_channels != out_channels:
            raise ValueError(
                f"{name}: got {in_channels} input and {out_channels} output channels with shared_filters, "
                "expected as many"
            )
        fillers.expect_fits(name, filler, self)
        if shared_filters:
            shape = (1, 1, *self.kernel_size)
        elif window.transposed:
            shape = (in_channels, out_channels, *self.kernel_size)
        else:
            shape = (out_channels, in_channels, *self.kernel_size)
        self.weight: Tensor
        self.bias: nn.Parameter | None
        if filler in fillers.FIXED:
            self.register_buffer("weight", torch.empty(shape))
        else:
            self.weight = nn.Parameter(torch.empty(shape))
        self.register_parameter("bias", nn.Parameter(torch.empty(out_channels)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill filter and bias anew by `filler`, and reset the adapting kernel's parameters."""
        super().reset_parameters()
        with torch.no_grad():
            fillers.fill(self.filler, self)

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        parts = [str(self.in_channels), str(self.out_channels), super().extra_repr()]
        parts += ["shared_filters=True"] if self.shared_filters else []
        return ", ".join(parts + (["bias=False"] if self.bias is None else []))


class PacConv2d(_PacConvolution):
    """Pixel-adaptive convolution (Su et al., CVPR 2019, eq. 3) as a layer.

    Args:
        in_channels: C.
        out_channels: O; C with `shared_filters`.
        kernel_size: Taps per axis, odd.
        stride: As in `nn.Conv2d`, like the next three.
        padding: Zeros on each side.
        dilation: Spacing of the taps.
        bias: Whether there is a bias.
        kernel_type: See `pacbench.functional.packernel2d`, like the next two.
        smooth_kernel_type: How f_i is smoothed.
        normalize_kernel: Divide K by its sum over the window.
        shared_filters: One spatial filter (1, 1, k_h, k_w) serves every channel.
        filler: Initial filter: ``uniform``, ``crf``, ``crf_perturbed`` (mean field's 4d or shared Gaussian),
            ``pool`` or ``crf_pool`` (a buffer of ones, the latter with centre 0).
        backend: The backend that serves this layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PairLike,
        stride: PairLike = 1,
        padding: PairLike = 0,
        dilation: PairLike = 1,
        bias: bool = True,
        kernel_type: str = "gaussian",
        smooth_kernel_type: str = "none",
        normalize_kernel: bool = False,
        shared_filters: bool = False,
        filler: str = "uniform",
        *,
        backend: str | Backend | None = None,
    ) -> None:
        name = type(self).__name__
        super().__init__(
            in_channels,
            out_channels,
            arguments.window(name, kernel_size, stride, padding, 0, dilation, transposed=False),
            bias=bias,
            kernel_type=kernel_type,
            smooth_kernel_type=smooth_kernel_type,
            normalize_kernel=normalize_kernel,
            shared_filters=shared_filters,
            filler=filler,
            backend=backend,
        )

    def forward(
        self, input: Tensor, guide: Tensor | None, kernel: Tensor | None = None, mask: Tensor | None = None
    ) -> GuidedOutput:
        """Convolve (N, C, H, W) under a guide (N, G, H, W), or with a given adapting kernel.

        Returns:
            (N, O, H', W'), or with a mask (and no kernel) the pair of it and the output mask.
        """
        window = (self.stride, self.padding, self.dilation, self.shared_filters)
        if kernel is not None:
            return functional.pacconv2d(input, kernel, self.weight, self.bias, *window, backend=self.backend)
        output: GuidedOutput = functional.guided_pacconv2d(
            input, _expect_guide(self, guide), self.weight, self.bias, *window, mask=mask, **self._kernel_options()
        )
        return output


class PacConvTranspose2d(_PacConvolution):
    """Transposed pixel-adaptive convolution (Su et al., CVPR 2019, section 4.1) as a layer.

    The guide has the output's resolution. Arguments as in `PacConv2d` and `nn.ConvTranspose2d`; `filler` may also be
    ``linear``: bilinear interpolation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PairLike,
        stride: PairLike = 1,
        padding: PairLike = 0,
        output_padding: PairLike = 0,
        dilation: PairLike = 1,
        bias: bool = True,
        kernel_type: str = "gaussian",
        smooth_kernel_type: str = "none",
        normalize_kernel: bool = False,
        shared_filters: bool = False,
        filler: str = "uniform",
        *,
        backend: str | Backend | None = None,
    ) -> None:
        name = type(self).__name__
        super().__init__(
            in_channels,
            out_channels,
            arguments.window(name, kernel_size, stride, padding, output_padding, dilation, transposed=True),
            bias=bias,
            kernel_type=kernel_type,
            smooth_kernel_type=smooth_kernel_type,
            normalize_kernel=normalize_kernel,
            shared_filters=shared_filters,
            filler=filler,
            backend=backend,
        )

    def forward(
        self, input: Tensor, guide: Tensor | None, kernel: Tensor | None = None, mask: Tensor | None = None
    ) -> GuidedOutput:
        """Upsample (N, C, H, W) under a guide (N, G, H', W'), or with a given adapting kernel.

        Returns:
            (N, O, H', W'), or with a mask (and no kernel) the pair of it and the output mask.
        """
        window = (self.stride, self.padding, self.output_padding, self.dilation, self.shared_filters)
        if kernel is not None:
            return functional.pacconv_transpose2d(input, kernel, self.weight, self.bias, *window, backend=self.backend)
        output: GuidedOutput = functional.guided_pacconv_transpose2d(
            input, _expect_guide(self, guide), self.weight, self.bias, *window, mask=mask, **self._kernel_options()
        )
        return output


class PacPool2d(_PacLayer):
    """Pixel-adaptive pooling (Su et al., CVPR 2019, section 4.3) as a layer: a sum over the window, scaled by K.

    Args:
        kernel_size: Taps per axis, odd.
        stride: 1 by default, like dilation; padding 0.
        padding: Zeros on each side.
        dilation: Spacing of the taps.
        kernel_type: See `pacbench.functional.packernel2d`, like the next three.
        smooth_kernel_type: How f_i is smoothed.
        channel_wise: One kernel per guide channel; the guide has the input's channels.
        normalize_kernel: Divide K by its sum over the window: a mean instead of a sum.
        out_channels: Number of channels, needed for learnt `inv_…` kernels with `channel_wise`.
        backend: The backend that serves this layer.
    """

    def __init__(
        self,
        kernel_size: PairLike,
        stride: PairLike = 1,
        padding: PairLike = 0,
        dilation: PairLike = 1,
        kernel_type: str = "gaussian",
        smooth_kernel_type: str = "none",
        channel_wise: bool = False,
        normalize_kernel: bool = False,
        out_channels: int = -1,
        *,
        backend: str | Backend | None = None,
    ) -> None:
        name = type(self).__name__
        super().__init__(
            arguments.window(name, kernel_size, stride, padding, 0, dilation, transposed=False),
            kernel_type=kernel_type,
            smooth_kernel_type=smooth_kernel_type,
            channel_wise=channel_wise,
            normalize_kernel=normalize_kernel,
            kernel_channels=out_channels,
            backend=backend,
        )
        self.out_channels = out_channels

    def forward(
        self, input: Tensor, guide: Tensor | None, kernel: Tensor | None = None, mask: Tensor | None = None
    ) -> GuidedOutput:
        """Pool (N, C, H, W) under a guide (N, G, H, W), or with a given adapting kernel.

        Returns:
            (N, C, H', W'), or with a mask (and no kernel) the pair of it and the output mask.
        """
        if self.out_channels > 0 and input.shape[1] != self.out_channels:
            raise ValueError(
                f"PacPool2d: got input {tuple(input.shape)}, expected {self.out_channels} channels (out_channels)"
            )
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        if kernel is not None:
            if self.channel_wise and kernel.shape[1] != input.shape[1]:
                raise ValueError(
                    f"PacPool2d: got kernel of {kernel.shape[1]} channels with channel_wise, expected {input.shape[1]}"
                )
            return functional.pacpool2d(input, kernel, *window, backend=self.backend)
        output: GuidedOutput = functional.guided_pacpool2d(
            input,
            _expect_guide(self, guide),
            *window,
            mask=mask,
            channel_wise=self.channel_wise,
            **self._kernel_options(),
        )
        return output


def _expect_guide(layer: nn.Module, guide: Tensor | None) -> Tensor:
    if guide is None:
        raise ValueError(f"{type(layer).__name__}: got neither guide nor kernel, expected one of them")
    return guide
