"""The CUDA kernels on a CPU, for tests: the backend `cuda_emulated:CudaEmulatedBackend`."""

from .backend import CudaEmulatedBackend

__all__ = ["CudaEmulatedBackend"]
