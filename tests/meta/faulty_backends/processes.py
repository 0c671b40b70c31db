"""Faults that end or block the process, and errors."""

from __future__ import annotations

import ctypes
import os
import time

from pacbench.errors import NotSupportedError

from .planting import Faulty


class Raises(Faulty):
    def output(self, operator, output, given):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


class RefusesWhatItDeclares(Faulty):
    """Declares the transposed operator, and refuses it when it is called."""

    def pacconv_transpose2d(self, *arguments, **keywords):
        raise NotSupportedError("pacconv_transpose2d is not supported")


class Segfaults(Faulty):
    def output(self, operator, output, given):
        ctypes.string_at(0)
        return output


class Hangs(Faulty):
    def output(self, operator, output, given):
        time.sleep(100_000)
        return output


class Exits(Faulty):
    """Leaves with exit code 0, as if all were well."""

    def output(self, operator, output, given):
        os._exit(0)
