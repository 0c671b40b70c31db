"""The Triton backend's `torch.library` ops, of namespace `pacbench_triton`."""

from __future__ import annotations

from pacbench.compiled.ops import CompiledOps

from . import computing

OPS = CompiledOps("triton", "pacbench_triton", ("CUDA", "CPU"), computing)
"""On the CPU by Triton's interpreter; dispatch refuses it otherwise."""
