"""The cases: operators at the sizes of workloads W1 to W5, kernel prediction, and the same operators on small images.

The count of operations is that of the filter alone, each multiply-add as two; the adapting kernel comes on top and
is not counted. Taps in the padding count, zeros that a transposed operator inserts do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pacbench.geometry import Pair, Window

Direction = Literal["forward", "forward_backward"]
Shape = tuple[int, ...]

DIRECTIONS: tuple[Direction, ...] = ("forward", "forward_backward")
_BACKWARD_COSTS = 3  # forward, gradient to the input and gradient to the filter are one product each
_ITEM_BYTES = 4  # float32


@dataclass(frozen=True)
class OperatorCase:
    """One workload, float32, batch 1.

    Attributes:
        name: As in the case's name.
        title: What it is, in words.
        operator: A guided operator of `pacbench.functional`; for mean-field messages `pacconv2d`.
        plain: The torch operator of the same sizes, in `torch.nn.functional`.
        channels: Of the input.
        outputs: Channels of the output.
        guide_channels: G; 0 for a plain operator, which has no guide.
        image: Height and width of the input.
        window: Where the taps lie.
        messages: Passes of softmax, then `operator` with one adapting kernel for all; 0 for a single operator.
        guide_gradient: Whether the backward pass has a gradient to the guide.
        given_kernel: Whether the adapting kernel is an argument, (1, 1, k_h, k_w, H', W'), in place of a guide.
    """

    name: str
    title: str
    operator: str
    plain: str
    channels: int
    outputs: int
    guide_channels: int
    image: Pair
    window: Window
    messages: int = 0
    guide_gradient: bool = True
    given_kernel: bool = False

    @property
    def pooling(self) -> bool:
        """Whether there is no filter."""
        return self.plain == "avg_pool2d"

    @property
    def plain_twin(self) -> OperatorCase:
        """The plain torch operator of the same sizes, as a case."""
        return replace(self, operator=f"torch.nn.functional.{self.plain}", guide_channels=0, given_kernel=False)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shape of each tensor; the guide of a transposed operator has the output's resolution."""
        output_size = self.window.output_size(self.image)
        guide_size = output_size if self.window.transposed else self.image
        shapes: dict[str, Shape] = {"input": (1, self.channels, *self.image)}
        if self.guide_channels:
            shapes["guide"] = (1, self.guide_channels, *guide_size)
        if self.given_kernel:
            shapes["kernel"] = (1, 1, *self.window.kernel_size, *output_size)
        if not self.pooling:
            first, second = (self.channels, self.outputs) if self.window.transposed else (self.outputs, self.channels)
            shapes["weight"] = (first, second, *self.window.kernel_size)
            shapes["bias"] = (self.outputs,)
        return shapes

    @property
    def output_shape(self) -> Shape:
        """Shape of the output."""
        return 1, self.outputs, *self.window.output_size(self.image)

    @property
    def differentiated(self) -> tuple[str, ...]:
        """Tensors that the backward pass has a gradient to."""
        return tuple(name for name in self.shapes if name != "guide" or self.guide_gradient)

    def flops(self, direction: Direction) -> float:
        """Operations: 2·C·O·taps·pixels forward, 2·C·taps·pixels for pooling; three times that with backward.

        A plain average pooling adds only: C·taps·pixels.
        """
        rows, columns = (self._taps_met(axis) for axis in (0, 1))
        per_tap = self.channels * (1 if self.pooling else self.outputs)
        per_product = 1 if self.pooling and not (self.guide_channels or self.given_kernel) else 2
        once = per_product * per_tap * rows * columns * max(self.messages, 1)
        return float(once * (_BACKWARD_COSTS if direction == "forward_backward" else 1))

    def compulsory_bytes(self, direction: Direction) -> float:
        """Bytes of every argument read and the output written, once.

        With backward, besides: arguments and the output's gradient read, the gradients written.
        """
        arguments = sum(map(_size, self.shapes.values()))
        output = _size(self.output_shape)
        items = arguments + output
        if direction == "forward_backward":
            items += arguments + output + sum(_size(self.shapes[name]) for name in self.differentiated)
        return float(items * _ITEM_BYTES)

    @property
    def share_of_taps_inside(self) -> float:
        """How many of the counted taps lie on pixels of the image, 0 to 1."""
        inside = counted = 1
        for axis in (0, 1):
            inside *= self._taps_inside(axis)
            counted *= self._taps_met(axis)
        return inside / counted

    def _taps_met(self, axis: int) -> int:
        """Along one axis, over all outputs: taps that are counted."""
        if self.window.transposed:
            return self._taps_inside(axis)
        return self.window.output_size(self.image)[axis] * self.window.kernel_size[axis]

    def _taps_inside(self, axis: int) -> int:
        """Along one axis: pairs of an output and an input pixel that a tap joins."""
        window = self.window
        inputs, outputs = self.image[axis], window.output_size(self.image)[axis]
        near, far = (inputs, outputs) if window.transposed else (outputs, inputs)
        first = (place * window.stride[axis] - window.padding[axis] for place in range(near))
        return sum(
            0 <= start + tap * window.dilation[axis] < far for start in first for tap in range(window.kernel_size[axis])
        )


def _size(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _same(taps: int, dilation: int = 1) -> Window:
    """A square window whose output has the input's size."""
    padding = (taps - 1) // 2 * dilation
    return Window((taps, taps), padding=(padding, padding), dilation=(dilation, dilation))


_DOUBLING = Window((5, 5), stride=(2, 2), padding=(2, 2), output_padding=(1, 1), transposed=True)

CASES: tuple[OperatorCase, ...] = (
    OperatorCase(
        "W1", "convolution 5 x 5, 32 → 32 channels, guide 16, 256 x 256",
        "guided_pacconv2d", "conv2d", 32, 32, 16, (256, 256), _same(5),
    ),
    OperatorCase(
        "W2", "convolution 3 x 3, 64 → 64 channels, guide 16, 128 x 128",
        "guided_pacconv2d", "conv2d", 64, 64, 16, (128, 128), _same(3),
    ),
    OperatorCase(
        "W3", "PAC-CRF,32: five messages 5 x 5, dilation 32, 21 → 21 channels, guide 3, 375 x 500",
        "pacconv2d", "conv2d", 21, 21, 3, (375, 500), _same(5, 32), messages=5, guide_gradient=False,
    ),
    OperatorCase(
        "W4", "pooling 5 x 5, 21 channels, guide 3, 375 x 500",
        "guided_pacpool2d", "avg_pool2d", 21, 21, 3, (375, 500), _same(5),
    ),
    OperatorCase(
        "W4b", "pooling 11 x 11, 21 channels, guide 3, 375 x 500",
        "guided_pacpool2d", "avg_pool2d", 21, 21, 3, (375, 500), _same(11),
    ),
    OperatorCase(
        "W5", "transposed convolution x 2, 5 x 5, 32 → 32 channels, guide 16, 128 x 128 → 256 x 256",
        "guided_pacconv_transpose2d", "conv_transpose2d", 32, 32, 16, (128, 128), _DOUBLING,
    ),
)  # fmt: skip

KERNEL_PREDICTION = OperatorCase(
    "KP", "kernel prediction: pooling 5 x 5 with the filter of each pixel given, 21 channels, 375 x 500",
    "pacpool2d", "avg_pool2d", 21, 21, 0, (375, 500), _same(5), given_kernel=True,
)  # fmt: skip
"""What PAC is compared with: a network predicts the filter of every pixel, which all channels share.

De Brabandere et al., Dynamic Filter Networks, NIPS 2016; Bako et al., Kernel-Predicting Convolutional Networks for
Denoising Monte Carlo Renderings, SIGGRAPH 2017; Wu et al., Dynamic Filtering with Large Sampling Field for ConvNets,
ECCV 2018. The network that predicts is not counted. W4 beside it computes its filters from a guide.
"""


def _small(case: OperatorCase, image: Pair, dilation: int) -> OperatorCase:
    window = case.window if case.window.transposed else _same(case.window.kernel_size[0], dilation)
    spaced = f", dilation {dilation}" if dilation != 1 else ""
    title = f"as {case.name}, on {image[0]} x {image[1]} pixels{spaced}"
    return replace(case, name=f"{case.name}-small", title=title, image=image, window=window)


_SMALL_IMAGES: dict[str, tuple[Pair, int]] = {
    "W1": ((48, 48), 1),
    "W2": ((40, 40), 1),
    "W3": ((46, 62), 4),
    "W4": ((94, 125), 1),
    "W4b": ((46, 62), 1),
    "W5": ((24, 24), 1),
}
SMALL_CASES: tuple[OperatorCase, ...] = tuple(_small(case, *_SMALL_IMAGES[case.name]) for case in CASES)
"""The same operators on small images, for the quick profile: too small to say how fast a backend is for users."""

_SMALL_KERNEL_PREDICTION = _small(KERNEL_PREDICTION, *_SMALL_IMAGES["W4"])

CASES_OF_PROFILE: dict[str, tuple[OperatorCase, ...]] = {
    "quick": (*SMALL_CASES, _SMALL_KERNEL_PREDICTION),
    "standard": (*CASES, KERNEL_PREDICTION),
    "full": (*CASES, KERNEL_PREDICTION),
}
