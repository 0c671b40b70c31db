"""Why CUDA kernels cannot run on this machine: torch, driver, GPU."""

from __future__ import annotations

import ctypes

import torch

from pacbench.capabilities import Reason

DRIVER = "libcuda.so.1"


def missing() -> list[Reason]:
    """Everything that is missing to launch kernels from torch; empty where there is a GPU that torch uses."""
    if torch.version.hip is not None:
        return [
            Reason(f"torch {torch.__version__} is built for AMD GPUs", "use the backend triton, which runs on them")
        ]
    if torch.cuda.is_available():
        return []
    reasons = []
    if torch.version.cuda is None:
        reasons.append(
            Reason(f"torch {torch.__version__} is built without CUDA", "install a CUDA build of torch from pytorch.org")
        )
    if not _has_driver():
        reasons.append(
            Reason(
                f"there is no NVIDIA driver ({DRIVER})", "install the driver of an NVIDIA GPU, or use another machine"
            )
        )
    elif not reasons:
        reasons.append(
            Reason(
                "torch finds no NVIDIA GPU", "look at nvidia-smi and CUDA_VISIBLE_DEVICES; the driver may be too old"
            )
        )
    return reasons


def current_stream(device: int) -> int:
    """Torch's current stream of a device, as an integer (a cudaStream_t)."""
    return int(torch.cuda.current_stream(device).cuda_stream)


def _has_driver() -> bool:
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True
