"""The native backend, slowed down by a known share of the time of each call: it spins on the CPU after the work."""

from __future__ import annotations

import functools
import time
from typing import Any, ClassVar

from pacbench.backends.native import NativeBackend
from pacbench.calls import OPERATORS


class Slowed(NativeBackend):
    """`native` with every operator slowed down by the factor `slowdown`; forwards only."""

    slowdown: ClassVar[float] = 1.0

    def __init__(self) -> None:
        self._inside = False
        for name in OPERATORS:
            setattr(self, name, self._slowed(getattr(super(), name)))

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.name = cls.__name__
        cls.summary = f"native, {100 * (cls.slowdown - 1):.0f} % slower"

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
                end = start + self.slowdown * (time.perf_counter() - start)
                while time.perf_counter() < end:
                    pass

        return call


class Slowed10(Slowed):
    slowdown = 1.10


class Slowed5(Slowed):
    slowdown = 1.05
