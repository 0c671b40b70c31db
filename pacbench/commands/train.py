"""`pacbench train fcn|crf|pacfcn`: what a segmentation training is asked."""

from __future__ import annotations

import re
from typing import Any

from pacbench.training.recipes import Recipe

from .checks import WrongUse
from .training_run import checked_recipe

KINDS = ("fcn", "crf", "pacfcn")


def new_recipe(kind: str, **asked: Any) -> Recipe:
    """A recipe of what was asked; what is None takes its default.

    Raises:
        WrongUse: a kind or a value that does not fit.
    """
    if kind not in KINDS:
        raise WrongUse(f"train: got {kind!r}, expected one of {', '.join(KINDS)} or upsample")
    return checked_recipe(Recipe, "train", {"kind": kind, **asked})


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


def other_than_pac(name: str) -> str | None:
    """The CRF in PAC-CRF's place; None for PAC-CRF itself."""
    return None if name == "pac" else name
