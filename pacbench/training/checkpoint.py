"""Checkpoints: whole or not at all, so that a process may be killed at any moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pacbench.data.data_error import DataError

NAME = "checkpoint.pt"
_FORMAT = 1


@dataclass
class Checkpoint:
    """Where a training is.

    Attributes:
        key: What the training is of; a checkpoint of another is refused.
        step: Steps done, over all stages.
        model: The model's state_dict.
        optimizer: State of the stage's optimiser; None between stages.
        scheduler: State of the stage's schedule; None between stages.
        history: What was measured so far, one dict each time.
    """

    key: str
    step: int = 0
    model: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] | None = None
    scheduler: dict[str, Any] | None = None
    history: list[dict[str, float | str]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write it in the place of the one before."""
        write_whole(folder / NAME, lambda path: torch.save({"format": _FORMAT, **self.__dict__}, path))

    @classmethod
    def load(cls, folder: Path, key: str) -> Checkpoint | None:
        """The checkpoint of a folder, its tensors on the CPU; None where there is none.

        Raises:
            DataError: the file is broken, or of another training.
        """
        path = folder / NAME
        if not path.exists():
            return None
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
            found = loaded.pop("format")
            checkpoint = cls(**loaded)
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise DataError(f"{path}: got a file that cannot be read ({reason}), expected a checkpoint") from error
        if found != _FORMAT or checkpoint.key != key:
            raise DataError(
                f"{path}: got the checkpoint of another training (task, data, schedule, seed or batch differ), "
                "expected one of this; resume with the settings it began with, or choose another folder"
            )
        return checkpoint


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: under another name, to the disk, then renamed."""
    half = path.with_name(f".{path.name}.half")
    write(half)
    with half.open("rb+") as file:
        os.fsync(file.fileno())
    half.replace(path)
