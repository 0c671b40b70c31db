"""Memory of a call beyond its inputs, outputs and gradients, in a process of its own.

``python -m pacbench.suites.operators.extra_memory NAME DIRECTION BACKEND`` prints one JSON object. The process does
nothing else before, so that no memory that an earlier call left behind can hide what this one takes; a call on the
smallest of images loads libraries and starts threads first. It is to be started with the system's own allocator
settings: a heap that is never given back would hide the temporaries of the call itself from one another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pacbench.backend import Backend
from pacbench.geometry import Pair, Window
from pacbench.mean_field import mean_field_update
from pacbench.measuring.peak_memory import peak_memory
from pacbench.registry import get_backend

from .cases import OperatorCase
from .subjects import SMALL_SUBJECTS, SUBJECTS, Subject
from .workload import Tensors, output_gradient

TALLER = "taller"
WIDER_WINDOW = "wider-window"
ONE_UPDATE = "one-update"

_TINY: Pair = (9, 9)
_SEED = 1904_05373


class OneUpdate(Subject):
    """One mean-field update with its adapting kernel given: what a layer's steps take apart from what they store."""

    @property
    def differentiated(self) -> tuple[str, ...]:
        """Tensors that the backward pass has a gradient to."""
        return "base", "beliefs", "weight"

    def tensors(self) -> dict[str, Tensor]:
        """The arguments, float32; the kernel is random."""
        generator = torch.Generator().manual_seed(_SEED)
        size, taps = self.case.shapes["input"], self.case.window.kernel_size
        shapes = {"base": size, "beliefs": size, "weight": self.case.shapes["weight"]}
        made = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        return made | {"kernel": torch.rand((1, 1, *taps, *size[2:]), generator=generator)}

    def run(self, backend: Backend) -> Callable[[Tensors], Tensor]:
        """The update by a backend."""
        window = self.case.window
        return lambda given: mean_field_update(
            given["base"], given["beliefs"], given["kernel"], given["weight"], window.padding, window.dilation,
            backend=backend,
        )  # fmt: skip


def variants(subject: Subject) -> dict[str, Subject]:
    """The case itself, on an image of twice the height, and with a window of nearly twice the side, by name.

    Mean-field messages have one variant: a single update.
    """
    case = subject.case
    if case.messages:
        return {subject.name: subject, f"{subject.name}-{ONE_UPDATE}": OneUpdate(case)}
    height, width = case.image
    side = case.window.kernel_size[0] * 2 - 1
    wide = Window((side, side), padding=(side // 2, side // 2))
    return {
        subject.name: subject,
        f"{subject.name}-{TALLER}": Subject(replace(case, image=(2 * height, width))),
        f"{subject.name}-{WIDER_WINDOW}": Subject(replace(case, window=wide)),
    }


def named(name: str) -> Subject:
    """The case of that name, or its variant.

    Raises:
        KeyError: there is none.
    """
    return {key: found for subject in SUBJECTS + SMALL_SUBJECTS for key, found in variants(subject).items()}[name]


def extra_memory(name: str, direction: str, backend_name: str) -> int:
    """Peak memory of one call beyond its inputs, outputs and gradients, in bytes."""
    backend = get_backend(backend_name)
    subject = named(name)
    _warm_up(subject.case, backend_name)
    given = subject.tensors()
    run = subject.run(backend)
    if direction == "forward":

        def forward() -> list[Tensor]:
            with torch.no_grad():
                return [run(given)]

        results, peak = peak_memory(forward, "cpu")
        return max(0, peak - _bytes(results))
    leaves = {key: tensor.requires_grad_(key in subject.differentiated) for key, tensor in given.items()}
    targets = [leaves[key] for key in subject.differentiated]
    gradient = output_gradient(subject)

    def forward_backward() -> list[Tensor]:
        output = run(leaves)
        return [output.detach(), *torch.autograd.grad(output, targets, gradient)]

    results, peak = peak_memory(forward_backward, "cpu")
    return max(0, peak - _bytes(results))


def _warm_up(case: OperatorCase, backend_name: str) -> None:
    """The same operator on two channels and a tiny image: libraries, threads, autograd."""
    tiny = replace(case, channels=2, outputs=2, guide_channels=min(2, case.guide_channels), image=_TINY)
    subject = Subject(tiny)
    subject.outputs(subject.run(get_backend(backend_name)), subject.tensors())


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


if __name__ == "__main__":
    found = extra_memory(*sys.argv[1:4])
    sys.stdout.write(json.dumps({"extra_bytes": found, "threads": torch.get_num_threads()}) + "\n")
