"""`pacbench train upsample`: a network for joint upsampling."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from rich.console import Console

from pacbench.data.data_error import DataError
from pacbench.errors import UnknownNameError
from pacbench.running.exit_code import INTERRUPTED
from pacbench.running.probes import RunError
from pacbench.training import train
from pacbench.training.outcome import DESCRIPTION, WEIGHTS
from pacbench.training.progress import TrainingProgress
from pacbench.training.saved_recipe import NAME

from .checks import WrongUse

if TYPE_CHECKING:
    from pacbench.suites.joint_upsampling.recipe import UpsamplingRecipe

KIND = "upsample"
OWN = frozenset({"method", "factor", "data", "scenes"})
"""Options that the other kinds have not."""
ONLY_OTHERS = frozenset({
    "init", "epochs", "network", "width", "guide_scale", "dilations", "joint", "validated", "compact", "precision", "channels_last",
})  # fmt: skip
"""Options that only the other kinds have."""


def new_recipe(**asked: Any) -> UpsamplingRecipe:
    """A recipe of what was asked; what is None takes its default.

    Raises:
        WrongUse: a value that does not fit, or no method or factor.
        UnknownNameError: no such method.
    """
    from pacbench.models.upsampling import NETWORKS
    from pacbench.suites.joint_upsampling.recipe import UpsamplingRecipe

    given = {name: value for name, value in asked.items() if value is not None}
    for name in ("method", "factor"):
        if name not in given:
            raise WrongUse(f"train {KIND}: got no --{name}, expected one")
    if given["method"] not in NETWORKS:
        raise UnknownNameError("method", given["method"], NETWORKS)
    try:
        return UpsamplingRecipe(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongUse(
            f"train {KIND}: got {first['input']!r} for {first['loc'][0]}, expected it to fit ({first['msg']})"
        ) from error


def side_of(text: str | None) -> int | None:
    """A crop's side given as N or NxN; raises WrongUse."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d*)(?:x\1)?", text)
    if found is None:
        raise WrongUse(f"--crop: got {text!r}, expected a side such as 64")
    return int(found[1])


def start(recipe: UpsamplingRecipe, folder: Path) -> int:
    """Begin a training in a folder that holds none; WrongUse where it holds one."""
    leads = int(os.environ.get("RANK", "0")) == 0
    if leads and (folder / NAME).exists():
        raise WrongUse(f"{folder}: holds a training already; take it up with --resume, or choose another folder")
    return _run(recipe, folder, new=leads)


def resume(folder: Path) -> int:
    """Take a training up again, under its own settings; one that has ended writes its outcome again."""
    from pacbench.suites.joint_upsampling.recipe import UpsamplingRecipe

    if not (folder / NAME).exists():
        raise WrongUse(f"--resume: got {folder}, expected the folder of a training (it has no {NAME})")
    try:
        return _run(UpsamplingRecipe.of(folder), folder, new=False)
    except DataError as error:
        raise RunError(str(error)) from error


def _run(recipe: UpsamplingRecipe, folder: Path, *, new: bool) -> int:
    console = Console(stderr=True)
    try:
        task = recipe.task()
        if new:
            recipe.save(folder)
        train(task, recipe.settings(), folder, TrainingProgress(console))
    except KeyboardInterrupt:
        console.print(f"interrupted; resume: pacbench train {KIND} --resume {shlex.quote(str(folder))}",
                      highlight=False, markup=False, soft_wrap=True)  # fmt: skip
        return INTERRUPTED
    except UnknownNameError:
        raise
    except (DataError, ValueError) as error:
        raise RunError(str(error)) from error
    if int(os.environ.get("RANK", "0")) == 0:
        for name in (WEIGHTS, DESCRIPTION):
            Console().print(str(folder / name), highlight=False, markup=False, soft_wrap=True)
    return 0
