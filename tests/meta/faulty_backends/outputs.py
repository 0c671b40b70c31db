"""Faults in what is computed."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation

from .planting import Faulty, with_each_tensor

PAST_16 = (slice(16, None), slice(None), slice(None))


def without(output, *index):
    """The output with zeros at an index."""
    keep = torch.ones_like(output)
    keep[(..., *index)] = 0
    return output * keep


class ZeroOutput(Faulty):
    def output(self, operator, output, given):
        return output * 0


class TwoPercentBias(Faulty):
    def output(self, operator, output, given):
        return output * 1.02


class BiasOnlyWhenRecording(Faulty):
    """Another code path where autograd records: in training, not in evaluation."""

    def output(self, operator, output, given):
        return output * 1.02 if output.requires_grad else output


class BiasOnlyWithoutRecording(Faulty):
    def output(self, operator, output, given):
        return output if output.requires_grad else output * 1.02


class MissingBorder(Faulty):
    """The last row is never computed."""

    def output(self, operator, output, given):
        return without(output, -1, slice(None))


class MissingPaddingTaps(Faulty):
    """Taps in the padding have kernel 0, instead of comparing f_i with 0."""

    def output(self, operator, output, given):
        if operator != "packernel2d":
            return output
        window, guide = given["window"].over_guide, given["guide"]
        taps = F.unfold(
            torch.ones_like(guide[:, :1]), window.kernel_size, window.dilation, window.padding, window.stride
        )
        return output * taps.view(output.shape[0], 1, *output.shape[2:])


class DroppedTap(Faulty):
    """An off-by-one in the loop over taps."""

    def arguments(self, operator, given):
        if operator == "packernel2d" or given["kernel"].shape[2] == 1:
            return given
        return given | {"kernel": without(given["kernel"], -1, -1, slice(None), slice(None))}


class FlippedFilter(Faulty):
    def arguments(self, operator, given):
        return given | {"weight": given["weight"].flip(2, 3)} if "weight" in given else given


class WrongBiasChannel(Faulty):
    def arguments(self, operator, given):
        return given if given.get("bias") is None else given | {"bias": given["bias"].roll(1)}


class ShiftedByStride(Faulty):
    """Output of the right size, sampled one pixel off."""

    def output(self, operator, output, given):
        return output.roll(1, -1) if given["window"].stride[1] > 1 else output


class IgnoredDilation(Faulty):
    """Neighbouring taps, whatever the dilation; the output keeps its size."""

    def arguments(self, operator, given):
        window = given["window"]
        plain = replace(window, dilation=(1, 1))
        missing = [(far - near) // 2 for far, near in zip(window.reach, plain.reach, strict=True)]
        padding = tuple(own - less for own, less in zip(window.padding, missing, strict=True))
        return given if min(padding) < 0 else given | {"window": replace(plain, padding=padding)}


class HalfPrecision(Faulty):
    """Declares float32 and computes in half precision."""

    def arguments(self, operator, given):
        return with_each_tensor(
            given, lambda tensor: tensor.half().float() if tensor.dtype == torch.float32 else tensor
        )


class ManyChannels(Faulty):
    """Channels past the sixteenth are left out."""

    def arguments(self, operator, given):
        return given if operator == "packernel2d" else given | {"input": without(given["input"], *PAST_16)}


class WideImage(Faulty):
    """The remainder of the last tile of 64 columns is left out."""

    def output(self, operator, output, given):
        return without(output, slice(64, None)) if output.shape[-1] > 64 else output


class LargeWindow(Faulty):
    """Windows of more than 49 taps overflow a table."""

    def output(self, operator, output, given):
        taps = given["window"].kernel_size[0] * given["window"].kernel_size[1]
        return output * 1.02 if taps > 49 else output


class SecondBatchItem(Faulty):
    """Every item gets the adapting kernel of the first."""

    def output(self, operator, output, given):
        return output[:1].expand_as(output) if operator == "packernel2d" else output


class EmptyBatch(Faulty):
    def output(self, operator, output, given):
        if output.shape[0] == 0:
            raise RuntimeError("invalid configuration argument")
        return output


class SwallowedNaN(Faulty):
    def output(self, operator, output, given):
        return output.nan_to_num()


class WrongDtype(Faulty):
    """Returns what it computes in, not what it was given."""

    def output(self, operator, output, given):
        return output if operator == "packernel2d" or output.dtype == torch.float64 else output.double()


class Contiguous(Faulty):
    """Reads every tensor as if it were contiguous."""

    def arguments(self, operator, given):
        return with_each_tensor(given, lambda tensor: tensor.as_strided(tensor.shape, tensor.contiguous().stride()))


class NoStorageOffset(Faulty):
    """Reads every tensor from the beginning of its storage."""

    def arguments(self, operator, given):
        return with_each_tensor(given, lambda tensor: tensor.as_strided(tensor.shape, tensor.stride(), 0))


class ZeroInHalf(Faulty):
    """Declares float16 alone, and answers with zeros."""

    capabilities = replace(Faulty.capabilities, dtypes=("float16",), derivative_order=1)

    def output(self, operator, output, given):
        return output * 0
