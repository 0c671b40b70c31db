"""The native backend, slowed down by a known share of the time of each call: it spins on the CPU after the work.

The factor stands in the environment variable SLOWDOWN, so that two sides of a comparison differ in nothing else.
"""

from __future__ import annotations

import functools
import os
import time
from typing import Any, ClassVar

from pacbench.backends.native import NativeBackend
from pacbench.calls import OPERATORS


class Slowed(NativeBackend):
    """`native` with every operator slowed down; forwards only."""

    name: ClassVar[str] = "slowed"
    summary: ClassVar[str] = "native, slowed down"

    def __init__(self) -> None:
        self._slowdown = float(os.environ.get("SLOWDOWN", "1"))
        self._inside = False
        for name in OPERATORS:
            setattr(self, name, self._slowed(getattr(super(), name)))

    def registered_op(self, call: Any) -> None:
        """None, so that every call comes through the operators here."""

    def _slowed(self, operator: Any) -> Any:
        @functools.wraps(operator)
        def call(*arguments: Any, **keywords: Any) -> Any:
            if self._inside:  # an operator that calls another is slowed down once
                return operator(*arguments, **keywords)
            self._inside = True
            start = time.perf_counter()
            try:
                return operator(*arguments, **keywords)
            finally:
                self._inside = False
                end = start + self._slowdown * (time.perf_counter() - start)
                while time.perf_counter() < end:
                    pass

        return call
