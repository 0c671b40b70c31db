"""Layers of pixel-adaptive convolution: `nn.Module`s with the parameters and state_dict keys that users know.

The layers hold what the functions of `pacbench.functional` take: filters, biases, and the parameters of the adapting
kernel. `backend` names the backend that serves a layer; without it the usual order decides at each call.
"""

from __future__ import annotations

from torch import Tensor, nn

from .. import arguments, functional
from ..arguments import PairLike
from ..backend import Backend
from .layer_bases import PacConvolution, PacLayer

GuidedOutput = Tensor | tuple[Tensor, Tensor]


class PacConv2d(PacConvolution):
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


class PacConvTranspose2d(PacConvolution):
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


class PacPool2d(PacLayer):
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
