"""The `cupy` backend: the CUDA kernels compiled at run time through CuPy, without a compiler on the machine."""

from .backend import CupyBackend

__all__ = ["CupyBackend"]
