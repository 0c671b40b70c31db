"""A recipe in the folder of its training: everything that was asked, so that `--resume` needs nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pacbench.data.data_error import DataError

from .checkpoint import write_whole
from .settings import TrainingSettings
from .task import Task

NAME = "training.json"


class SavedRecipe(BaseModel, ABC):
    """What was asked of a training, checked; a subclass has the fields, and makes of them the task and its settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def task(self) -> Task:
        """The task, its model built; DataError for data or weights that cannot be used."""

    @abstractmethod
    def settings(self) -> TrainingSettings:
        """How it runs."""

    def save(self, folder: Path) -> None:
        """Write it into a training's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / NAME, lambda path: path.write_text(self.model_dump_json(indent=1) + "\n", "utf-8"))

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The recipe in a training's folder; DataError where there is none that fits."""
        path = folder / NAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise DataError(f"{path}: got no file, expected what a training was asked") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise DataError(f"{path}: got {where} that does not fit ({first['msg']}), expected a recipe") from error
