"""How a training runs, whatever the task."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that any task can be trained with.

    Attributes:
        seed: Of the order of samples, their augmentation and the model's own randomness.
        batch: Samples of one step, over all processes together.
        device: A torch device; "cuda" takes this process's own GPU under torchrun.
        checkpoint_every: Steps between checkpoints.
        evaluate_every: Steps between measurements of quality on the validation items; None for the end of stages only.
        clip_norm: The gradient's norm is clipped to this; None for not at all.
        workers: Processes that make samples; 0 makes them in this one. The result is the same.
        precision: "bfloat16" computes the loss under torch's autocast; weights and their gradients stay float32.
        channels_last: Keep images and filters with their channels side by side, which plain convolutions like.
    """

    seed: int = 0
    batch: int = 8
    device: str = "cpu"
    checkpoint_every: int = 50
    evaluate_every: int | None = None
    clip_norm: float | None = None
    workers: int = 0
    precision: Precision = "float32"
    channels_last: bool = False

    def __post_init__(self) -> None:
        for name in ("batch", "checkpoint_every", "evaluate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"training: got {name} {value}, expected at least 1")
        if self.seed < 0 or self.workers < 0:
            raise ValueError(f"training: got seed {self.seed} and {self.workers} workers, expected 0 or more of each")

    def decisive(self) -> dict[str, Any]:
        """Those that the weights depend on."""
        settings = asdict(self)
        return {name: settings[name] for name in ("seed", "batch", "clip_norm", "precision", "channels_last")}

    @property
    def memory_format(self) -> torch.memory_format:
        """Of images and filters."""
        return torch.channels_last if self.channels_last else torch.preserve_format
