"""Tile sizes: which ones a kernel is launched with."""

from __future__ import annotations

from typing import NamedTuple


class Tile(NamedTuple):
    """The block that one program computes.

    Attributes:
        height: Pixels, rows.
        width: Pixels, columns.
        inner: Channels of one step of the inner dimension.
        outer: Output channels.
        guide: Guide channels of one step.
        warps: Warps a program.
        stages: Depth of the software pipeline.
    """

    height: int
    width: int
    inner: int
    outer: int
    guide: int
    warps: int = 4
    stages: int = 2


def power_of_two(number: int, at_least: int = 1, at_most: int = 1 << 30) -> int:
    """The smallest power of two that is not below the number, within bounds."""
    return max(at_least, min(at_most, 1 << max(0, number - 1).bit_length()))


def interpreted(height: int, width: int, inner: int, outer: int, guide: int) -> Tile:
    """Tiles as large as fits the work: the interpreter pays by operation, not by pixel."""
    columns = power_of_two(width, at_most=128)
    rows = power_of_two(height, at_most=max(1, 4096 // columns))
    return Tile(rows, columns, power_of_two(inner, 1, 64), power_of_two(outer, 1, 64), power_of_two(guide, 1, 64))
