"""PacJointUpsample beside its own twin with plain transposed convolutions: times in turns, and peak memory.

The twin has the same branches and as many numbers to learn; where the one convolves under the guide's features, the
other convolves plainly and adds their mean, so that the guide's branch is computed, and learns, in both.

``python -m pacbench.suites.operators.upsampling_twin NAME DIRECTION MODEL`` prints the peak memory of one call as one
JSON object, MODEL being ``plain`` or a backend's name; it is to be started with the system's own allocator settings.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pacbench.backend import Backend
from pacbench.measuring.peak_memory import peak_memory
from pacbench.models.pac_joint_upsample import PacJointUpsample
from pacbench.registry import get_backend

from .cases import Direction
from .interleaving import seconds_of

PLAIN = "plain"
_SEED = 1904_05373
_SIZE = 5
_RATE = 1e-4


class PlainTransposed(nn.ConvTranspose2d):
    """Doubles the resolution plainly, and adds the mean of the guide's features."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, _SIZE, stride=2, padding=_SIZE // 2, output_padding=1)

    def forward(self, input: Tensor, guide: Tensor) -> Tensor:  # type: ignore[override]
        """(N, C, h, w) and (N, G, 2h, 2w) to (N, O, 2h, 2w)."""
        return super().forward(input) + guide.mean(dim=1, keepdim=True)


class PlainTwin(PacJointUpsample):
    """The twin of `PacJointUpsample`."""

    def doubling(self, inputs: int, outputs: int, backend: str | Backend | None) -> nn.Module:  # noqa: ARG002
        """A plain transposed convolution."""
        return PlainTransposed(inputs, outputs)


@dataclass(frozen=True)
class TwinCase:
    """An image that both upsample.

    Attributes:
        name: As in the record's case.
        factor: Of the upsampling.
        image: Height and width of the result.
    """

    name: str
    factor: int
    image: tuple[int, int]

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"PacJointUpsample x{self.factor} to {self.image[0]}x{self.image[1]}, batch 1"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the arguments."""
        low = (self.image[0] // self.factor, self.image[1] // self.factor)
        return {"target": (1, 1, *low), "guide": (1, 3, *self.image)}

    def call(self, model: Backend | None, direction: Direction) -> Callable[[], Tensor]:
        """A call that can be timed: forward without gradients, or a training step (loss, gradients, Adam).

        Args:
            model: The backend of `PacJointUpsample`; None for the twin.
            direction: Which of the two.
        """
        generator = torch.Generator().manual_seed(_SEED)
        target, guide = (torch.rand(shape, generator=generator) for shape in self.shapes.values())
        truth = torch.rand((1, 1, *self.image), generator=generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            network = PlainTwin(self.factor) if model is None else PacJointUpsample(self.factor, backend=model)

        def forward() -> Tensor:
            with torch.no_grad():
                result: Tensor = network(target, guide)
            return result

        optimizer = torch.optim.Adam(network.parameters(), lr=_RATE)

        def step() -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            result: Tensor = network(target, guide)
            (result - truth).square().mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return result.detach()

        return forward if direction == "forward" else step


TWINS = {
    "quick": TwinCase("PJU8-small", 8, (48, 64)),
    "standard": TwinCase("PJU8", 8, (480, 640)),
    "full": TwinCase("PJU8", 8, (480, 640)),
}
_BY_NAME = {case.name: case for case in TWINS.values()}


def times(case: TwinCase, direction: Direction, backend: Backend, turns: int) -> dict[str, list[float]]:
    """Seconds of `plain` and `backend`, one of each in every turn, an untimed call before each."""
    calls = {PLAIN: case.call(None, direction), "backend": case.call(backend, direction)}
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        for _ in range(turns):
            for name, call in calls.items():
                call()
                seconds[name].append(seconds_of(call))
    finally:
        gc.enable()
    return seconds


def time_figures(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Medians in milliseconds, and their ratio."""
    own, plain = (statistics.median(seconds[name]) for name in ("backend", PLAIN))
    return {"ms": own * 1e3, "plain_ms": plain * 1e3, "ratio_to_plain": own / plain}


def peak_bytes(name: str, direction: Direction, model: str) -> int:
    """Peak memory of one call beyond what the network and its arguments take."""
    case = _BY_NAME[name]
    backend = None if model == PLAIN else get_backend(model)
    TWINS["quick"].call(backend, direction)()  # libraries, threads, autograd
    return peak_memory(case.call(backend, direction), "cpu")[1]


if __name__ == "__main__":
    found = peak_bytes(sys.argv[1], "forward" if sys.argv[2] == "forward" else "forward_backward", sys.argv[3])
    sys.stdout.write(json.dumps({"peak_bytes": found}) + "\n")
