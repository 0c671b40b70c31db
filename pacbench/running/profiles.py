"""How much a run measures."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """How much of a case.

    Attributes:
        timed_calls: Timed calls per process, at least.
        timed_s: Seconds that short calls are timed for, per process: more of them then, up to `MOST_CALLS`. The median
            of three calls of a millisecond differs by a fifth from process to process.
        rounds: Processes.
    """

    timed_calls: int
    timed_s: float
    rounds: int

    def calls(self, seconds: float) -> int:
        """How many calls are timed of one that takes so many seconds."""
        wanted = math.ceil(self.timed_s / seconds) if seconds > 0 else MOST_CALLS
        return max(self.timed_calls, min(MOST_CALLS, wanted))


MOST_CALLS = 100

PROFILES = {
    "quick": Profile(timed_calls=3, timed_s=0.05, rounds=1),
    "standard": Profile(timed_calls=5, timed_s=0.2, rounds=3),
    "full": Profile(timed_calls=15, timed_s=0.5, rounds=7),
}
