"""`pacbench train`: a network, a CRF on it, or a network with swapped convolutions."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from pacbench.data.data_error import DataError
from pacbench.running.exit_code import INTERRUPTED
from pacbench.running.probes import RunError
from pacbench.training import train
from pacbench.training.outcome import DESCRIPTION, WEIGHTS
from pacbench.training.progress import TrainingProgress
from pacbench.training.recipes import Recipe
from pacbench.training.saved_recipe import NAME

from .checks import WrongUse

KINDS = ("fcn", "crf", "pacfcn")


def new_recipe(kind: str, **asked: Any) -> Recipe:
    """A recipe of what was asked; what is None takes its default.

    Raises:
        WrongUse: a kind or a value that does not fit.
    """
    if kind not in KINDS:
        raise WrongUse(f"train: got {kind!r}, expected one of {', '.join(KINDS)} or upsample")
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        return Recipe(kind=kind, **given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongUse(
            f"train: got {first['input']!r} for {first['loc'][0]}, expected it to fit ({first['msg']})"
        ) from error


def start(recipe: Recipe, folder: Path) -> int:
    """Begin a training in a folder that holds none.

    Raises:
        WrongUse: it holds one.
    """
    leads = int(os.environ.get("RANK", "0")) == 0
    if leads and (folder / NAME).exists():
        raise WrongUse(f"{folder}: holds a training already; take it up with --resume, or choose another folder")
    return _run(recipe, folder, new=leads)


def resume(folder: Path) -> int:
    """Take a training up again, under its own settings; one that has ended writes its outcome again."""
    if not (folder / NAME).exists():
        raise WrongUse(f"--resume: got {folder}, expected the folder of a training (it has no {NAME})")
    return _run(Recipe.of(folder), folder, new=False)


def size_of(text: str | None) -> tuple[int, int] | None:
    """A size given as HEIGHTxWIDTH; raises WrongUse."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise WrongUse(f"--crop: got {text!r}, expected HEIGHTxWIDTH, such as 180x240")
    return int(found[1]), int(found[2])


def dilations_of(text: str) -> tuple[int, ...]:
    """Dilations given as 16-64; raises WrongUse."""
    if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)*", text):
        raise WrongUse(f"--dilations: got {text!r}, expected numbers joined by -, such as 32 or 16-64")
    return tuple(int(part) for part in text.split("-"))


def _run(recipe: Recipe, folder: Path, *, new: bool) -> int:
    console = Console(stderr=True)
    try:
        task = recipe.task()
        if new:
            recipe.save(folder)
        train(task, recipe.settings(), folder, TrainingProgress(console))
    except KeyboardInterrupt:
        console.print(f"interrupted; resume: pacbench train {recipe.kind} --resume {shlex.quote(str(folder))}",
                      highlight=False, markup=False, soft_wrap=True)  # fmt: skip
        return INTERRUPTED
    except (DataError, ValueError) as error:
        raise RunError(str(error)) from error
    if int(os.environ.get("RANK", "0")) == 0:
        for name in (WEIGHTS, DESCRIPTION):
            Console().print(str(folder / name), highlight=False, markup=False, soft_wrap=True)
    return 0
