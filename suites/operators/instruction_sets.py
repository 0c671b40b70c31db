"""A case's time with one instruction set, in a process of its own, since a compiled backend chooses when it is loaded.

``python -m pacbench.suites.operators.instruction_sets NAME BACKEND TURNS`` prints one JSON object: median seconds for
each direction. Which instruction set that is stands in the environment variable `INSTRUCTION_SET`.
"""

from __future__ import annotations

import json
import statistics
import sys

from pacbench.registry import get_backend

from .cases import DIRECTIONS
from .extra_memory import named
from .interleaving import seconds_of

INSTRUCTION_SET = "PACBENCH_NATIVE_ISA"
"""The variable that the backend `native` reads when it is loaded."""


def median_seconds(name: str, backend_name: str, turns: int) -> dict[str, float]:
    """Median seconds of a case for each direction; a call goes untimed before each timed one."""
    backend = get_backend(backend_name)
    found: dict[str, float] = {}
    for direction in DIRECTIONS:
        call = named(name).backend_call(backend, direction)
        samples = []
        for _ in range(turns):
            call()
            samples.append(seconds_of(call))
        found[direction] = statistics.median(samples)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(median_seconds(sys.argv[1], sys.argv[2], int(sys.argv[3]))) + "\n")
