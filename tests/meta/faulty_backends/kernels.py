"""Faults in the adapting kernel, its mask and its options."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from .planting import Faulty


class InvertedMask(Faulty):
    def packernel2d(self, guide, mask, *, window, adapting):
        wrong = None if mask is None else (mask == 0).to(guide.dtype)
        return super().packernel2d(guide, wrong, window=window, adapting=adapting)


class IgnoredMask(Faulty):
    """Everything is valid; the output mask is right."""

    def packernel2d(self, guide, mask, *, window, adapting):
        kernel, output_mask = super().packernel2d(guide, mask, window=window, adapting=adapting)
        if mask is not None:
            kernel, _ = super().packernel2d(guide, mask * 0 + 1, window=window, adapting=adapting)
        return kernel, output_mask


class RoundedMask(Faulty):
    """A mask of weights is taken for one of zeros and ones."""

    def packernel2d(self, guide, mask, *, window, adapting):
        wrong = None if mask is None else (mask != 0).to(guide.dtype)
        return super().packernel2d(guide, wrong, window=window, adapting=adapting)


class InvertedOutputMask(Faulty):
    def packernel2d(self, guide, mask, *, window, adapting):
        kernel, output_mask = super().packernel2d(guide, mask, window=window, adapting=adapting)
        return kernel, None if output_mask is None else ~output_mask


class OutputMaskOfNumbers(Faulty):
    """The output mask holds numbers, not truths."""

    def packernel2d(self, guide, mask, *, window, adapting):
        kernel, output_mask = super().packernel2d(guide, mask, window=window, adapting=adapting)
        return kernel, None if output_mask is None else output_mask.to(guide.dtype)


class _IgnoredOption(Faulty):
    option: ClassVar[dict[str, object]]

    def arguments(self, operator, given):
        if operator != "packernel2d":
            return given
        return given | {"adapting": replace(given["adapting"], **self.option)}


class IgnoredNormalisation(_IgnoredOption):
    option: ClassVar = {"normalize": False}


class IgnoredAsymmetry(_IgnoredOption):
    option: ClassVar = {"asymmetric": False}


class IgnoredSmoothing(_IgnoredOption):
    option: ClassVar = {"smooth_kernel": None}


class InverseKernelAsGaussian(_IgnoredOption):
    option: ClassVar = {"form": "gaussian"}
