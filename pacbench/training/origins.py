"""How the network in a weights file was trained, for files that do not say it themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pacbench.models.network_plan import NetworkPlan


def with_origins(plans: Mapping[Path, NetworkPlan]) -> dict[Path, NetworkPlan]:
    """The plans of weights files, each with `fine_tuned` and `frozen` as they are.

    A plan that does not say it is of an older file. Then `weights.json` beside that says it, if it is there: whether
    the training began with weights, and by a digest with which, so that a CRF's network is what the given file of that
    digest says of it; and which stages there were.
    """
    whole = {}
    for path, plan in plans.items():
        finding = {"fine_tuned": partial(_fine_tuned, path, plans), "frozen": partial(_frozen, path, plan)}
        found = {name: find() for name, find in finding.items() if name not in plan.model_fields_set}
        whole[path] = plan.model_copy(update=found)
    return whole


def digest(path: Path) -> str:
    """By which a training names the weights that it began with."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _frozen(path: Path, plan: NetworkPlan) -> bool:
    said = _said(path)
    return (
        plan.has_crf and plan.network != "none" and [stage.get("name") for stage in said.get("stages", [])] == ["crf"]
    )


def _said(path: Path) -> dict[str, Any]:
    """What lies beside weights; empty where nothing does that can be read."""
    try:
        said = json.loads(path.with_suffix(".json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _fine_tuned(path: Path, plans: Mapping[Path, NetworkPlan]) -> bool:
    said = _said(path)
    try:
        task, init = str(said["task"]), str(said["what"]["init"])
    except (KeyError, TypeError):
        return False
    if not init or task == "fcn":
        return bool(init)
    begun_with = init.split(", ")
    for other, plan in plans.items():
        if other != path and digest(other) in begun_with:
            return plan.fine_tuned or ("fine_tuned" not in plan.model_fields_set and _fine_tuned(other, plans))
    return False
