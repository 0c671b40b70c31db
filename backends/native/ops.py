"""The native backend's `torch.library` ops, of namespace `pacbench_native`."""

from __future__ import annotations

from pacbench.compiled.ops import CompiledOps

from . import computing

OPS = CompiledOps("native", "pacbench_native", ("CPU",), computing)
