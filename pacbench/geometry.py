"""Windows: where the taps of an operator lie, and the sizes that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """The k_h x k_w taps of an operator, and how the window moves over the image.

    Attributes:
        kernel_size: Taps per axis (rows, columns), both odd.
        stride: Step of the window; for the transposed operator the step of the *input* in the output.
        padding: Zeros on each side, with the meaning of `torch.nn.Conv2d` / `torch.nn.ConvTranspose2d`.
        output_padding: Rows and columns added at the far side of a transposed operator's output.
        dilation: Spacing of the taps.
        transposed: Whether this is the window of a transposed operator.
    """

    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    output_padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    transposed: bool = False

    @property
    def reach(self) -> Pair:
        """Distance in pixels between the first and the last tap, (k - 1) * dilation, per axis."""
        (kh, kw), (dh, dw) = self.kernel_size, self.dilation
        return (kh - 1) * dh, (kw - 1) * dw

    def output_size(self, input_size: Pair) -> Pair:
        """Size of the output for an input of that size: `nn.Conv2d`'s or `nn.ConvTranspose2d`'s formula."""
        if self.transposed:
            h, w = (
                (size - 1) * s - 2 * p + reach + op + 1
                for size, s, p, reach, op in zip(
                    input_size, self.stride, self.padding, self.reach, self.output_padding, strict=True
                )
            )
        else:
            h, w = (
                (size + 2 * p - reach - 1) // s + 1
                for size, s, p, reach in zip(input_size, self.stride, self.padding, self.reach, strict=True)
            )
        return h, w

    def transposed_input_size(self, output_size: Pair) -> tuple[float, float]:
        """Size of the input of a transposed operator whose output has that size; not whole if there is none."""
        h, w = (
            (size - op - 1 - reach + 2 * p) / s + 1
            for size, s, p, reach, op in zip(
                output_size, self.stride, self.padding, self.reach, self.output_padding, strict=True
            )
        )
        return h, w

    @property
    def over_guide(self) -> Window:
        """The window as it moves over the guide.

        For the transposed operator the guide has the output's resolution and the adapting kernel is always the
        centred window, whatever `padding` is.
        """
        if not self.transposed:
            return self
        reach_h, reach_w = self.reach
        return Window(self.kernel_size, padding=(reach_h // 2, reach_w // 2), dilation=self.dilation)

    @property
    def zero_insertion_padding(self) -> tuple[int, int, int, int]:
        """Padding (left, right, top, bottom) of the zero-inserted input of a transposed operator; may be negative."""
        (rh, rw), (ph, pw), (oh, ow) = self.reach, self.padding, self.output_padding
        return rw - pw, rw - pw + ow, rh - ph, rh - ph + oh
