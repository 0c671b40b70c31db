"""Beginning a training and taking it up again, whatever is trained."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from rich.console import Console

from pacbench.data.data_error import DataError
from pacbench.errors import UnknownNameError
from pacbench.running.exit_code import INTERRUPTED
from pacbench.running.probes import RunError
from pacbench.training import train
from pacbench.training.outcome import DESCRIPTION, WEIGHTS
from pacbench.training.progress import TrainingProgress
from pacbench.training.saved_recipe import NAME, SavedRecipe

from .checks import WrongUse

Recipe = TypeVar("Recipe", bound=SavedRecipe)


def checked_recipe(kind: type[Recipe], command: str, asked: Mapping[str, Any]) -> Recipe:
    """A recipe of what was asked; what is None takes its default.

    Raises:
        WrongUse: a value that does not fit.
    """
    try:
        return kind(**{name: value for name, value in asked.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongUse(
            f"{command}: got {first['input']!r} for {first['loc'][0]}, expected it to fit ({first['msg']})"
        ) from error


def start(recipe: SavedRecipe, kind: str, folder: Path) -> int:
    """Begin a training in a folder that holds none.

    Raises:
        WrongUse: it holds one.
    """
    if _leads() and (folder / NAME).exists():
        raise WrongUse(f"{folder}: holds a training already; take it up with --resume, or choose another folder")
    return _run(recipe, kind, folder, new=_leads())


def resume(recipe: type[SavedRecipe], kind: str, folder: Path) -> int:
    """Take a training up again, under its own settings; one that has ended writes its outcome again."""
    if not (folder / NAME).exists():
        raise WrongUse(f"--resume: got {folder}, expected the folder of a training (it has no {NAME})")
    try:
        found = recipe.of(folder)
    except DataError as error:
        raise RunError(str(error)) from error
    return _run(found, kind, folder, new=False)


def _run(recipe: SavedRecipe, kind: str, folder: Path, *, new: bool) -> int:
    console = Console(stderr=True)
    try:
        task = recipe.task()
        if new:
            recipe.save(folder)
        train(task, recipe.settings(), folder, TrainingProgress(console))
    except KeyboardInterrupt:
        console.print(f"interrupted; resume: pacbench train {kind} --resume {shlex.quote(str(folder))}",
                      highlight=False, markup=False, soft_wrap=True)  # fmt: skip
        return INTERRUPTED
    except UnknownNameError:
        raise
    except (DataError, ValueError) as error:
        raise RunError(str(error)) from error
    if _leads():
        for name in (WEIGHTS, DESCRIPTION):
            Console().print(str(folder / name), highlight=False, markup=False, soft_wrap=True)
    return 0


def _leads() -> bool:
    """Whether this is the process that writes, of those that torchrun started."""
    return int(os.environ.get("RANK", "0")) == 0
