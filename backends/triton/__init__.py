"""The `triton` backend: fused Triton kernels for GPUs, interpreted on CPUs for tests."""

from .backend import TritonBackend

__all__ = ["TritonBackend"]
