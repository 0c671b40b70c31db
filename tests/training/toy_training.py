"""A task of a few thousand numbers, and a program that trains it, for tests that kill it: see `main`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pacbench.training import Sample, Stage, Task, TrainingSettings, checkpoint, train
from pacbench.training.progress import TrainingProgress

SETTINGS = TrainingSettings(seed=3, batch=4, checkpoint_every=3, evaluate_every=5)


class Toy(Task):
    """Which quadrant of a noisy picture is bright: a convolution, dropout, batch normalisation, a linear layer."""

    name = "toy"
    leaves_unused = True

    def __init__(self, *, dropout: float = 0.3, normalise: bool = True, size: int = 22) -> None:
        torch.manual_seed(11)
        body = [nn.Conv2d(1, 6, 3, stride=2), nn.BatchNorm2d(6) if normalise else nn.Identity(), nn.ReLU()]
        self.model = nn.Sequential()
        self.model.add_module("body", nn.Sequential(*body, nn.Dropout(dropout), nn.Flatten()))
        self.model.add_module("top", nn.Linear(54, 4))
        self.model.register_parameter("spare", nn.Parameter(torch.ones(2)))  # no step uses it
        self.size = size
        self.die_in_step: int | None = None
        self.calls = 0

    def stages(self) -> list[Stage]:
        return [Stage("top", 7, {"top": 0.05}), Stage("all", 9, {"": 0.01, "body": 0.02})]

    def describe(self) -> dict[str, str | int | float | list[str]]:
        return {"size": self.size}

    def train_size(self) -> int:
        return self.size

    def train_sample(self, index: int, generator: torch.Generator) -> Sample:
        picture = torch.rand(1, 8, 8, generator=generator)
        row, column = divmod(index % 4, 2)
        picture[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.7
        return {"picture": picture, "label": torch.tensor(index % 4), "amount": torch.tensor(1 + index % 3)}

    def loss(self, model: nn.Module, batch: Sample) -> tuple[Tensor, Tensor]:
        self.calls += 1
        if self.calls == self.die_in_step:
            os.kill(os.getpid(), signal.SIGKILL)
        losses = F.cross_entropy(model(batch["picture"]), batch["label"], reduction="none")
        return (losses * batch["amount"]).sum(), batch["amount"].sum()

    def validation_size(self) -> int:
        return 9

    def validation_sample(self, index: int) -> Sample:
        return self.train_sample(index, torch.Generator().manual_seed(1000 + index))

    def measure(self, model: nn.Module, sample: Sample) -> Tensor:
        return torch.stack([(model(sample["picture"]).argmax(1) == sample["label"]).sum(), torch.tensor(1)])

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        return {"accuracy": float(statistics[0] / statistics[1])}


def main(folder: Path, die: str) -> None:
    """Train into a folder; `die` is "", "step N", or "save N": half-way through writing the N-th checkpoint."""
    torch.set_num_threads(1)
    task = Toy() if "WORLD_SIZE" not in os.environ else Toy(dropout=0.0, normalise=False)
    kind, _, number = die.partition(" ")
    if kind == "step":
        task.die_in_step = int(number)
    elif kind == "save":
        real, left = torch.save, [int(number)]

        def save(what: object, path: Path) -> None:
            real(what, path)
            left[0] -= 1
            if left[0] == 0:
                os.truncate(path, path.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        checkpoint.torch.save = save
    train(task, SETTINGS, folder, TrainingProgress())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
