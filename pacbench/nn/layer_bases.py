"""What the layers of pixel-adaptive convolution share: window, adapting kernel's parameters, filter and bias."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import functional
from ..adapting_kernel import KernelType, smooth_kernel_size
from ..backend import Backend
from ..geometry import Window
from . import fillers


class PacLayer(nn.Module):
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


class PacConvolution(PacLayer):
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
