"""The `native` backend: fused C++ kernels for CPUs; the default where there is no GPU."""

from .backend import NativeBackend

__all__ = ["NativeBackend"]
