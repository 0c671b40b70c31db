"""How much a run measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Timed calls per case and process, and rounds (processes) per case."""

    timed_calls: int
    rounds: int


PROFILES = {
    "quick": Profile(timed_calls=3, rounds=1),
    "standard": Profile(timed_calls=5, rounds=3),
    "full": Profile(timed_calls=15, rounds=7),
}
