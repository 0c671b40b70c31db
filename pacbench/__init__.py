"""pacbench: the benchmark and correctness suite for pixel-adaptive convolution.

The names below load on first use: the pytest plug-in imports this package in every pytest run on the machine, and
must not make those wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from . import forked as _forked  # noqa: F401 - notes from now on whether this process is forked

if TYPE_CHECKING:
    from .backend import Backend
    from .capabilities import Capabilities, Reason
    from .errors import NotSupportedError, UnavailableError, UnknownNameError
    from .registry import get_backend, list_backends, use_backend

try:
    __version__ = version("pacbench")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_HOME = {
    "Backend": "backend",
    "Capabilities": "capabilities",
    "Reason": "capabilities",
    "NotSupportedError": "errors",
    "UnavailableError": "errors",
    "UnknownNameError": "errors",
    "get_backend": "registry",
    "list_backends": "registry",
    "use_backend": "registry",
}

__all__ = [
    "Backend",
    "Capabilities",
    "NotSupportedError",
    "Reason",
    "UnavailableError",
    "UnknownNameError",
    "__version__",
    "get_backend",
    "list_backends",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
