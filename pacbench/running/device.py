"""Where a suite runs a backend."""

from __future__ import annotations

import torch

from pacbench.backend import Backend


def device_of(backend: Backend) -> str:
    """A GPU where the backend declares one and one is there, otherwise the first other device that it declares."""
    devices = backend.capabilities.devices
    if "cuda" in devices and torch.cuda.is_available():
        return "cuda"
    return next((device for device in devices if device != "cuda"), "cuda")
