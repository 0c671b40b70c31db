"""Which suites there are: the subpackages of `pacbench.suites`, found without importing them."""

from __future__ import annotations

import pkgutil
from importlib.util import find_spec

from .job import GATE_SUITE

OPERATOR_SUITE = "operators"
"""Single operators; `pacbench bench` runs it."""

UPSAMPLING_SUITE = "joint_upsampling"
"""The suite that has factors and networks with weights."""

NOT_BY_DEFAULT = (GATE_SUITE, OPERATOR_SUITE)


def list_suites() -> list[str]:
    """Names of all suites, in alphabetical order."""
    spec = find_spec("pacbench.suites")
    locations = spec.submodule_search_locations if spec is not None else None
    return sorted(module.name for module in pkgutil.iter_modules(locations or []) if module.ispkg)


def workloads() -> list[str]:
    """Suites that `pacbench run` runs unless told otherwise."""
    return [name for name in list_suites() if name not in NOT_BY_DEFAULT]
