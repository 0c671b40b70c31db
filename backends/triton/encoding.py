"""Windows and adapting kernels as the integers that an op's schema is made of."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from pacbench.adapting_kernel import AdaptingKernel
from pacbench.geometry import Window

FORMS = ("gaussian", "inv")
"""The adapting kernel's forms, by the number that kernels are specialised on."""


class WindowCode(NamedTuple):
    """A window as integers, rows before columns; image sizes given to its methods may be symbols."""

    kernel_height: int
    kernel_width: int
    stride_height: int
    stride_width: int
    padding_height: int
    padding_width: int
    output_padding_height: int
    output_padding_width: int
    dilation_height: int
    dilation_width: int
    transposed: int

    @staticmethod
    def write(window: Window) -> list[int]:
        """The integers of a window."""
        pairs = (window.kernel_size, window.stride, window.padding, window.output_padding, window.dilation)
        return [*(number for pair in pairs for number in pair), int(window.transposed)]

    @property
    def window(self) -> Window:
        """The window itself."""
        return Window(self[0:2], self[2:4], self[4:6], self[6:8], self[8:10], bool(self.transposed))

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of an operator's output by its input's."""
        return self.window.output_size((height, width))

    def kernel_output_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the adapting kernel by the guide's: that of a transposed operator's guide is its output's."""
        return (height, width) if self.transposed else self.output_size(height, width)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the operator's input, which is the mask's, by the guide's."""
        if not self.transposed:
            return height, width
        window, sizes = self.window, []
        for axis, size in enumerate((height, width)):
            before = size - window.output_padding[axis] - 1 - window.reach[axis] + 2 * window.padding[axis]
            sizes.append(before // window.stride[axis] + 1)
        return sizes[0], sizes[1]


class AdaptingCode(NamedTuple):
    """What of an adapting kernel is no tensor; that of a kernel that is given has the defaults."""

    form: int = 0
    asymmetric: int = 0
    normalize: int = 0
    channel_wise: int = 0

    @staticmethod
    def write(adapting: AdaptingKernel | None) -> list[int]:
        """The integers of an adapting kernel."""
        if adapting is None:
            return []
        flags = (adapting.asymmetric, adapting.normalize, adapting.channel_wise)
        return [FORMS.index(adapting.form), *map(int, flags)]


def out_channels(input: Tensor, weight: Tensor | None, window: WindowCode, shared_filters: bool) -> int:
    """Channels of an operator's output; without a weight it is a pooling."""
    if weight is None or shared_filters:
        return input.shape[1]
    return weight.shape[1 if window.transposed else 0]
