"""Where an operator's time goes: torch's profiler over one call and its gradients, in a process of its own.

Usage: ``python -m pacbench.running.profile_operators BACKEND FOLDER [SIZE]``. Writes ``profile.json`` (microseconds by
kernel, for each operator) and one Chrome trace an operator.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from pacbench import functional
from pacbench.registry import get_backend

from .device import device_of

CHANNELS, GUIDE, WARM_UP, CALLS = 32, 5, 3, 10


def main(backend: str, folder: Path, size: int = 256) -> None:
    """Profile the guided convolution, upsampling and pooling and the mean-field update of a backend."""
    device = device_of(get_backend(backend))
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, call in _calls(backend, device, size).items():
        for _ in range(WARM_UP):
            call()
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
        with profile(activities=activities) as profiled:
            for _ in range(CALLS if device == "cuda" else 1):
                call()
            if device == "cuda":
                torch.cuda.synchronize()
        profiled.export_chrome_trace(str(folder / f"{name}.trace.json"))
        found[name] = {
            event.key: {
                "calls": event.count,
                "device_us": float(event.self_device_time_total),
                "cpu_us": float(event.self_cpu_time_total),
            }
            for event in profiled.key_averages()
        }
    described = {"backend": backend, "device": device, "size": size, "channels": CHANNELS, "operators": found}
    (folder / "profile.json").write_text(json.dumps(described, indent=1), encoding="utf-8")


def _calls(backend: str, device: str, size: int) -> dict[str, Callable[[], object]]:
    def made(*shape: int) -> Tensor:
        return torch.randn(shape, device=device).requires_grad_()

    image, guide, weight = made(1, CHANNELS, size, size), made(1, GUIDE, size, size), made(CHANNELS, CHANNELS, 5, 5)
    fine, beliefs, classes = made(1, GUIDE, 2 * size, 2 * size), made(1, 21, size, size), made(21, 21, 5, 5)
    kernel = torch.rand(1, 1, 5, 5, size, size, device=device)

    def with_gradients(output: Tensor, *leaves: Tensor) -> object:
        return torch.autograd.grad(output.sum(), leaves)

    def convolution() -> object:
        output = functional.guided_pacconv2d(image, guide, weight, None, 1, 2, backend=backend)
        return with_gradients(output, image, guide, weight)

    def upsampling() -> object:
        output = functional.guided_pacconv_transpose2d(image, fine, weight, None, 2, 2, 1, backend=backend)
        return with_gradients(output, image, fine, weight)

    def pooling() -> object:
        output = functional.guided_pacpool2d(image, guide, 5, 1, 2, backend=backend)
        return with_gradients(output, image, guide)

    def update() -> object:
        output = functional.mean_field_update(beliefs, beliefs, kernel, classes, 64, 32, backend=backend)
        return with_gradients(output, beliefs, classes)

    return {"convolution": convolution, "upsampling": upsampling, "pooling": pooling, "mean_field_update": update}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
