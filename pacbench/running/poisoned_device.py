"""After some errors (an illegal address, a failed assertion in a kernel) a CUDA context answers nothing but errors."""

from __future__ import annotations

import sys


def poison() -> str | None:
    """What the device says when it is beyond use; None where it works or there is none.

    Every later case of the process would fail for the first one's fault.
    """
    torch = sys.modules.get("torch")
    if torch is None or not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return None
    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        return str(error).partition("\n")[0]
    return None
