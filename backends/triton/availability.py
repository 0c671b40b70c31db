"""Whether Triton is here, and whether it compiles for a GPU or interprets on the CPU; asked without importing it."""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import cache
from typing import Any

from pacbench.capabilities import Reason

INTERPRET = "TRITON_INTERPRET"
"""Triton's own switch: 1 interprets kernels on the CPU. Triton reads it when it is first imported."""


def interpreting() -> bool:
    """Whether kernels of this process are interpreted."""
    return os.environ.get(INTERPRET, "0").lower() in ("1", "true", "on", "yes", "y")


def unavailable_reasons() -> list[Reason]:
    """Why Triton's kernels cannot run on this machine."""
    missing = without_package()
    if missing is not None:
        return [missing]
    if interpreting():
        return [] if _interpreter_is_whole() else [
            Reason(
                f"{INTERPRET}=1 was set after triton had been imported, whose own functions are then not interpreted",
                f"set {INTERPRET}=1 before Python starts",
            )
        ]  # fmt: skip
    return _no_gpu()


def without_package() -> Reason | None:
    """That triton is not installed, if so."""
    if importlib.util.find_spec("triton") is None:
        return Reason("the package triton is not installed", "pip install 'pacbench[triton]'")
    return None


def _interpreter_is_whole() -> bool:
    """Whether triton was imported with the switch set, or is not imported yet."""
    if "triton.language" not in sys.modules:
        return True
    from triton.runtime.interpreter import InterpretedFunction

    language: Any = sys.modules["triton.language"]
    return isinstance(language.zeros, InterpretedFunction)


@cache
def _no_gpu() -> list[Reason]:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return [
            Reason(
                "this build of torch is for CPUs",
                f"install torch for CUDA or ROCm; to interpret the kernels on the CPU, as tests do, set {INTERPRET}=1",
            )
        ]
    if not torch.cuda.is_available():
        return [
            Reason(
                "no GPU, or no driver for it, was found",
                f"install the GPU's driver; to interpret the kernels on the CPU, as tests do, set {INTERPRET}=1",
            )
        ]
    return []
