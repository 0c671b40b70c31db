"""Faults that no small image shows: the smoke subset is green, and the workload fails."""

from __future__ import annotations

import ctypes

from .planting import Faulty

LARGE = 20


class RaisesOnLargeImages(Faulty):
    def output(self, operator, output, given):
        if output.shape[-1] > LARGE:
            raise RuntimeError("CUDA error: too many resources requested for launch")
        return output


class SegfaultsOnLargeImages(Faulty):
    def output(self, operator, output, given):
        if output.shape[-1] > LARGE:
            ctypes.string_at(0)
        return output
