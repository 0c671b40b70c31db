"""`pacbench train upsample`: what the training of a network for joint upsampling is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pacbench.errors import UnknownNameError

from .checks import WrongUse
from .training_run import checked_recipe

if TYPE_CHECKING:
    from pacbench.suites.joint_upsampling.recipe import UpsamplingRecipe

KIND = "upsample"
OWN = frozenset({"method", "factor", "data", "scenes", "start", "loss"})
"""Options that the other kinds have not."""
ONLY_OTHERS = frozenset({
    "init", "epochs", "network", "width", "guide_scale", "crf", "dilations", "joint", "validated", "compact",
    "precision", "channels_last",
})  # fmt: skip
"""Options that only the other kinds have."""


def recipe_type() -> type[UpsamplingRecipe]:
    """The suite's recipe, imported when it is needed."""
    from pacbench.suites.joint_upsampling.recipe import UpsamplingRecipe

    return UpsamplingRecipe


def new_recipe(**asked: Any) -> UpsamplingRecipe:
    """A recipe of what was asked; what is None takes its default.

    Raises:
        WrongUse: a value that does not fit, or no method or factor.
        UnknownNameError: no such method.
    """
    from pacbench.models.upsampling import NETWORKS

    for name in ("method", "factor"):
        if asked.get(name) is None:
            raise WrongUse(f"train {KIND}: got no --{name}, expected one")
    if asked["method"] not in NETWORKS:
        raise UnknownNameError("method", asked["method"], NETWORKS)
    return checked_recipe(recipe_type(), f"train {KIND}", asked)


def side_of(text: str | None) -> int | None:
    """A crop's side given as N or NxN; raises WrongUse."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d*)(?:x\1)?", text)
    if found is None:
        raise WrongUse(f"--crop: got {text!r}, expected a side such as 64")
    return int(found[1])
