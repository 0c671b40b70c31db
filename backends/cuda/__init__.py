"""CUDA kernels and their launches, shared by the backends `cuda_ext` and `cupy`; no backend by itself."""
