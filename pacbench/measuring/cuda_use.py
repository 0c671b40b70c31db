"""Whether this process works on a GPU, without an import of torch where nobody has imported it."""

from __future__ import annotations

import sys


def cuda_in_use() -> bool:
    """Whether this process has set up a CUDA context through torch."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available() and torch.cuda.is_initialized())


def works_on_cuda(device: str | None) -> bool:
    """Whether a call works on a GPU.

    Args:
        device: Device type that the call works on; None for CUDA if this process uses it, else the CPU.
    """
    return device == "cuda" or (device is None and cuda_in_use())
