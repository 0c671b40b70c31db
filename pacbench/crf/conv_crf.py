"""Conv-CRF: mean field with Gaussian kernels cut off at a small window (Teichmann & Cipolla, 2018).

Source: *Convolutional CRFs for Semantic Segmentation*, arXiv:1805.04777, and the behaviour of its published
code (MarvinTeichmann/ConvCRF, MIT) with its default configuration: one merged kernel, no normalisation.
Its message is an adapting-kernel pooling, so that every backend serves it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pacbench.backend import Backend
from pacbench.blurring import blurred_size, pool_by
from pacbench.crf.edge_features import create_position_feats
from pacbench.dispatch import backend_for
from pacbench.functional import packernel2d, pacpool2d


class ConvCRF(nn.Module):
    """Conv-CRF with hand-made features: a Gaussian of position and a Gaussian of colour, merged into one kernel.

    With u = log_softmax(unary) and K = position_compat · K_position + colour_compat · K_colour, a step is
    ``(unary_weight - weight) · u + weight · Σ_j K[i, j] Q_j`` (j over the window, i itself among it), and
    Q the softmax of the step before. As in the published code, the first step filters u itself, not its softmax.

    Args:
        channels: number of classes.
        filter_size: side of the window, odd, counted in blurred pixels.
        blur: messages are computed at 1/blur of the resolution.
        num_steps: mean-field iterations.
        unary_weight: weight of the unary.
        weight: weight of the message, one number, kept for each class.
        position_sdims: standard deviation of the position kernel, in pixels.
        position_compat: weight of the position kernel.
        colour_schan: standard deviation of the colour kernel, in the image's units (13 for images in [0, 255]).
        colour_sdims: standard deviation of the position in the colour kernel, in pixels; None leaves the
            position out of it, as the published default does.
        colour_compat: weight of the colour kernel.
        final_softmax: return probabilities rather than the last step's logits.
        trainable: keep the scalars as parameters rather than as buffers.
        backend: name of a backend, a Backend, or None to let dispatch choose.

    Raises:
        ValueError: an option out of its range.
    """

    def __init__(
        self,
        channels: int,
        filter_size: int = 11,
        blur: int = 4,
        num_steps: int = 5,
        *,
        unary_weight: float = 1.0,
        weight: float = 0.2,
        position_sdims: float = 3.0,
        position_compat: float = 3.0,
        colour_schan: float = 13.0,
        colour_sdims: float | None = None,
        colour_compat: float = 10.0,
        final_softmax: bool = False,
        trainable: bool = False,
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__()
        if filter_size < 1 or filter_size % 2 == 0:
            raise ValueError(f"ConvCRF: got filter_size={filter_size}, expected an odd positive number")
        for name, count, least in (("channels", channels, 1), ("blur", blur, 1), ("num_steps", num_steps, 0)):
            if count < least:
                raise ValueError(f"ConvCRF: got {name}={count}, expected at least {least}")
        self.channels = channels
        self.filter_size = filter_size
        self.blur = blur
        self.num_steps = num_steps
        self.final_softmax = final_softmax
        self.trainable = trainable
        self.backend = backend
        self.unary_weight = self._scalar("unary_weight", unary_weight)
        self.weight = self._learnable("weight", torch.full((1, channels, 1, 1), float(weight)))
        self.position_sdims = self._scalar("position_sdims", position_sdims)
        self.position_compat = self._scalar("position_compat", position_compat)
        self.colour_schan = self._scalar("colour_schan", colour_schan)
        self.colour_sdims = None if colour_sdims is None else self._scalar("colour_sdims", colour_sdims)
        self.colour_compat = self._scalar("colour_compat", colour_compat)

    def _scalar(self, name: str, value: float) -> Tensor:
        if not math.isfinite(value) or (name.endswith(("sdims", "schan")) and value <= 0):
            raise ValueError(f"ConvCRF: got {name}={value}, expected a finite number, above 0 for a deviation")
        return self._learnable(name, torch.tensor(float(value)))

    def _learnable(self, name: str, value: Tensor) -> Tensor:
        if self.trainable:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)
        held: Tensor = getattr(self, name)
        return held

    def extra_repr(self) -> str:
        """The options, as they are printed."""
        return f"channels={self.channels}, filter_size={self.filter_size}, blur={self.blur}, num_steps={self.num_steps}"

    def kernel(self, image: Tensor) -> Tensor:
        """The merged Gaussian kernel of an image.

        Args:
            image: (N, 3, H, W), in [0, 255] unless `colour_schan` says otherwise.

        Returns:
            (N, 1, filter_size, filter_size, ⌈H/blur⌉, ⌈W/blur⌉).
        """
        if image.dim() != 4 or not image.is_floating_point():
            raise ValueError(
                f"ConvCRF: image is {tuple(image.shape)} of {image.dtype}, expected (N, 3, H, W) of a floating type"
            )
        mesh = create_position_feats(image.shape[-2:], None, 1, image.device, image.dtype)
        colour = image / self.colour_schan
        if self.colour_sdims is not None:
            position = (mesh / self.colour_sdims).expand(image.shape[0], -1, -1, -1)
            colour = torch.cat([position, colour], dim=1)
        by_position = self._gaussian(mesh / self.position_sdims)
        return self.position_compat * by_position + self.colour_compat * self._gaussian(colour)

    def _gaussian(self, features: Tensor) -> Tensor:
        kernel, _ = packernel2d(
            pool_by(features, self.blur),
            kernel_size=self.filter_size,
            padding=self.filter_size // 2,
            backend=self.backend,
        )
        return kernel

    def steps(self, unary: Tensor, kernel: Tensor) -> Tensor:
        """The mean-field iterations.

        Args:
            unary: (N, channels, H, W) logits.
            kernel: what `kernel` gave for the image.

        Returns:
            (N, channels, H, W): logits of the last step, or probabilities with `final_softmax`.
        """
        if unary.dim() != 4 or unary.shape[1] != self.channels:
            raise ValueError(f"ConvCRF: unary is {tuple(unary.shape)}, expected (N, {self.channels}, H, W)")
        size = (unary.shape[2], unary.shape[3])
        expected = (unary.shape[0], 1, self.filter_size, self.filter_size, *blurred_size(size, self.blur))
        if tuple(kernel.shape) != expected:
            raise ValueError(
                f"ConvCRF: kernel is {tuple(kernel.shape)}, expected {expected} for a unary of "
                f"{tuple(unary.shape)} and blur {self.blur}"
            )
        log_unary = unary.log_softmax(dim=1)
        if not self.num_steps:
            return log_unary
        blurred = pool_by(log_unary, self.blur)
        base = (self.unary_weight - self.weight) * log_unary
        serving = backend_for(unary.device.type, self.backend)
        for _ in range(self.num_steps - 1):
            blurred = serving.blurred_beliefs(base, self._message(blurred, kernel), self.blur)
        logits = serving.add_blurred(base, self._message(blurred, kernel), self.blur)
        return logits.softmax(dim=1) if self.final_softmax else logits

    def _message(self, blurred: Tensor, kernel: Tensor) -> Tensor:
        padding = self.filter_size // 2
        return self.weight * pacpool2d(blurred, kernel, self.filter_size, padding=padding, backend=self.backend)

    def forward(self, unary: Tensor, image: Tensor) -> Tensor:
        """`steps` with the `kernel` of the image.

        Args:
            unary: (N, channels, H, W) logits.
            image: (N, 3, H, W).

        Returns:
            (N, channels, H, W).

        Raises:
            ValueError: shapes that do not fit.
        """
        if unary.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f"ConvCRF: image is {tuple(image.shape)}, expected the height and width of the "
                f"unary, which is {tuple(unary.shape)}"
            )
        return self.steps(unary, self.kernel(image))
