"""Windows and adapting kernels as the integers that an op's schema and the calls of kernels are made of."""

from __future__ import annotations

from typing import NamedTuple

from ..adapting_kernel import AdaptingKernel
from ..geometry import Window

FORMS = ("gaussian", "inv")
"""The adapting kernel's forms, by the number that kernels know them by."""


class WindowCode(NamedTuple):
    """A window, its fields named as those of the structs that describe a call; the sizes may be symbols."""

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
        return [
            *window.kernel_size,
            *window.stride,
            *window.padding,
            *window.output_padding,
            *window.dilation,
            int(window.transposed),
        ]

    @property
    def window(self) -> Window:
        """The window itself."""
        return Window(self[0:2], self[2:4], self[4:6], self[6:8], self[8:10], bool(self.transposed))

    def reach(self) -> tuple[int, int]:
        """Distance in pixels between the first and the last tap, per axis."""
        return (self.kernel_height - 1) * self.dilation_height, (self.kernel_width - 1) * self.dilation_width

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of an operator's output by its input's; see `pacbench.geometry`."""
        rh, rw = self.reach()
        if self.transposed:
            h = (height - 1) * self.stride_height - 2 * self.padding_height + rh + self.output_padding_height + 1
            w = (width - 1) * self.stride_width - 2 * self.padding_width + rw + self.output_padding_width + 1
            return h, w
        h = (height + 2 * self.padding_height - rh - 1) // self.stride_height + 1
        w = (width + 2 * self.padding_width - rw - 1) // self.stride_width + 1
        return h, w

    def kernel_output_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the adapting kernel by the guide's: that of a transposed operator's guide is its output's."""
        return (height, width) if self.transposed else self.output_size(height, width)

    def mask_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the operator's input, which is the mask's, by the guide's."""
        if not self.transposed:
            return height, width
        rh, rw = self.reach()
        h = (height - self.output_padding_height - 1 - rh + 2 * self.padding_height) // self.stride_height + 1
        w = (width - self.output_padding_width - 1 - rw + 2 * self.padding_width) // self.stride_width + 1
        return h, w

    def fields(self) -> dict[str, int]:
        """The fields of a call that describe the window; the output's size says what output padding would."""
        fields = self._asdict()
        del fields["output_padding_height"], fields["output_padding_width"]
        return fields


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

    def fields(self) -> dict[str, int]:
        """The fields of a call that describe the adapting kernel."""
        return {"form": self.form, "asymmetric": self.asymmetric, "normalize": self.normalize}
