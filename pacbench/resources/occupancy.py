"""How many threads of a kernel fit on a multiprocessor at once.

Limits by compute capability: CUDA C++ Programming Guide, "Features and Technical Specifications"; registers are given
out by warp in units of 256, and each block takes 1 KB of shared memory beside its own from sm_80 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OccupancyLimits:
    """What one multiprocessor has: 32-bit registers, bytes of shared memory, threads, blocks."""

    registers: int
    shared_bytes: int
    threads: int
    blocks: int
    shared_bytes_reserved: int


OCCUPANCY_LIMITS: Mapping[str, OccupancyLimits] = {
    "sm_75": OccupancyLimits(65536, 65536, 1024, 16, 0),
    "sm_80": OccupancyLimits(65536, 167936, 2048, 32, 1024),
    "sm_86": OccupancyLimits(65536, 102400, 1536, 16, 1024),
    "sm_89": OccupancyLimits(65536, 102400, 1536, 24, 1024),
    "sm_90": OccupancyLimits(65536, 233472, 2048, 32, 1024),
    "sm_100": OccupancyLimits(65536, 233472, 2048, 32, 1024),
    "sm_120": OccupancyLimits(65536, 102400, 1536, 24, 1024),
}
"""By target; a target that is not listed has no known occupancy."""

_WARP = 32
_REGISTER_UNIT = 256


def occupancy(target: str, *, registers: int, shared_bytes: int, threads: int) -> float | None:
    """Share of a multiprocessor's threads that can be resident, 0 to 1; None for an unknown target.

    Args:
        target: Such as ``sm_90``.
        registers: Registers a thread.
        shared_bytes: Shared memory a block, in bytes.
        threads: Threads a block.
    """
    limits = OCCUPANCY_LIMITS.get(target.removesuffix("a"))
    if limits is None:
        return None
    warps = -(-threads // _WARP)
    blocks = min(limits.blocks, limits.threads // (warps * _WARP))
    if registers:
        of_a_warp = -(-registers * _WARP // _REGISTER_UNIT) * _REGISTER_UNIT
        blocks = min(blocks, limits.registers // of_a_warp // warps)
    if shared_bytes:
        blocks = min(blocks, limits.shared_bytes // (shared_bytes + limits.shared_bytes_reserved))
    return blocks * warps * _WARP / limits.threads
