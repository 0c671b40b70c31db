"""Whether the network in a weights file was trained again from others, for files that do not say it themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pacbench.models.network_plan import NetworkPlan


def with_origins(plans: Mapping[Path, NetworkPlan]) -> dict[Path, NetworkPlan]:
    """The plans of weights files, each with `fine_tuned` as it is.

    A plan that does not say it is of an older file. Then `weights.json` beside that says it, if it is there: whether
    the training began with weights, and by a digest with which, so that a CRF's network is what the given file of that
    digest says of it.
    """
    return {
        path: plan if "fine_tuned" in plan.model_fields_set
        else plan.model_copy(update={"fine_tuned": _fine_tuned(path, plans)})
        for path, plan in plans.items()
    }  # fmt: skip


def digest(path: Path) -> str:
    """By which a training names the weights that it began with."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _fine_tuned(path: Path, plans: Mapping[Path, NetworkPlan]) -> bool:
    try:
        said = json.loads(path.with_suffix(".json").read_text("utf-8"))
        task, init = str(said["task"]), str(said["what"]["init"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if not init or task == "fcn":
        return bool(init)
    begun_with = init.split(", ")
    for other, plan in plans.items():
        if other != path and digest(other) in begun_with:
            return plan.fine_tuned or ("fine_tuned" not in plan.model_fields_set and _fine_tuned(other, plans))
    return False
