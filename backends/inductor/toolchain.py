"""What torch.compile needs: a Python that it knows, a C++ compiler, Python's headers, and triton on GPUs."""

from __future__ import annotations

import sysconfig
from importlib.util import find_spec
from pathlib import Path

from pacbench.capabilities import Reason


def missing() -> list[Reason]:
    """Each thing that torch.compile lacks here, with its mend."""
    return [reason for reason in (_python(), _compiler(), _headers()) if reason is not None]


def missing_for(device_type: str) -> list[str]:
    """What it lacks beyond that for one type of device."""
    if device_type == "cuda" and find_spec("triton") is None:
        return ["torch.compile needs triton on GPUs, which is not installed (pip install 'pacbench[triton]')"]
    return []


def _python() -> Reason | None:
    from torch._dynamo.eval_frame import check_if_dynamo_supported

    try:
        check_if_dynamo_supported()
    except RuntimeError as error:
        return Reason(f"torch.compile does not run on this Python: {error}", "use a Python that this torch supports")
    return None


def _compiler() -> Reason | None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return Reason("torch.compile finds no working C++ compiler", "install g++ or clang++, or set CXX to one")
    return None


def _headers() -> Reason | None:
    folder = sysconfig.get_path("include")
    if (Path(folder) / "Python.h").is_file():
        return None
    return Reason(f"Python's C headers are not in {folder}", "install them (Debian and Ubuntu: python3-dev)")
