"""The `cuda_ext` backend: CUDA C++ kernels compiled by nvcc, behind a plain C interface."""

from .backend import CudaExtBackend

__all__ = ["CudaExtBackend"]
