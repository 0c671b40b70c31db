"""After some errors (an illegal address, a failed assertion in a kernel) a CUDA context answers nothing but errors."""

from __future__ import annotations

from pacbench.measuring.cuda_use import cuda_in_use


def poison() -> str | None:
    """What the device says when it is beyond use; None where it works or there is none.

    Every later case of the process would fail for the first one's fault.
    """
    if not cuda_in_use():
        return None
    import torch

    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        return str(error).partition("\n")[0]
    return None
