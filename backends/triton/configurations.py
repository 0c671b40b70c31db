"""Tile sizes: the few that are worth trying, a model of what each takes, and the one that is taken untried.

The first candidate that fits is the default: what the resource budget is about. `tuning.py` may choose another by
measuring on a GPU, beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Tile(NamedTuple):
    """The block that one program computes.

    Attributes:
        height: Pixels, rows.
        width: Pixels, columns: neighbours in memory.
        inner: Channels of one step of the inner dimension; for the bandwidth-bound kernels all that a program holds.
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

    @property
    def pixels(self) -> int:
        """Pixels of the block."""
        return self.height * self.width


TENSOR_CORE_TILES: tuple[Tile, ...] = (
    Tile(4, 16, 32, 64, 16),
    Tile(4, 16, 32, 64, 16, stages=3),
    Tile(4, 16, 32, 32, 16, stages=3),
    Tile(8, 16, 32, 64, 16, warps=8),
    Tile(8, 16, 32, 32, 16, warps=4),
    Tile(4, 16, 64, 64, 16),
    Tile(4, 16, 32, 64, 16, stages=1),
)
"""For 16-bit floats and tf32: 64 pixels are the rows of one warp group's product.

With one stage nothing passes through shared memory on its way to be scaled.
"""

PLAIN_TILES: tuple[Tile, ...] = (
    Tile(4, 16, 16, 32, 16, stages=3),
    Tile(4, 16, 16, 32, 16),
    Tile(4, 16, 32, 32, 16),
    Tile(8, 16, 16, 32, 16, warps=8),
    Tile(4, 16, 16, 64, 16, warps=8),
    Tile(4, 16, 16, 32, 16, stages=1),
)
"""For float32 in IEEE precision and float64, whose sums take more registers."""

BY_PHASES = " by phases"
"""What the name of a kernel that computes a transposed operator phase by phase ends with, in `STAGES`."""

STAGES: Mapping[tuple[str, str, int], int] = {
    ("gather_contraction", "tf32", 4): 1,
    ("gather_contraction" + BY_PHASES, "tf32", 4): 1,
    ("kernel_gradient", "tf32", 4): 1,
    ("weight_gradient", "tf32", 4): 1,
    ("gather_contraction" + BY_PHASES, "ieee", 4): 2,
    ("kernel_gradient", "ieee", 4): 2,
    ("weight_gradient", "ieee", 4): 2,
    ("weight_gradient", "ieee", 8): 1,
}
"""Pipelines other than the first candidate's, by kernel, precision and bytes of a value.

Measured on an H200: without a pipeline every kernel of tf32 was 1.2 to 8 times faster
(reports/reference/gpu_h200_third_run), and the transposed convolution in float32 a fifth with two stages. The others'
kernels spill on sm_90 with the first candidate's.
"""

SCALED_FROM_SHARED_MEMORY = ("gather_contraction", "weight_gradient")
"""Kernels that read a tile of pixels back from the pipeline's shared memory and scale it before it is multiplied.

`kernel_gradient` multiplies what lies there as it is, and the compiler lays it there as the product wants it.
"""

SMALLEST = 16
"""Channels below which a product has no instruction in some dtype (Triton 3.9, sm_80 and sm_90)."""

REGISTERS = 255
SHARED_BYTES = {"sm_80": 166912, "sm_90": 232448, "sm_100": 232448, "gfx942": 65536}
"""What a thread and a block can have at most."""


def power_of_two(number: int, at_least: int = 1, at_most: int = 1 << 30) -> int:
    """The smallest power of two that is not below the number, within bounds."""
    return max(at_least, min(at_most, 1 << max(0, number - 1).bit_length()))


def candidates(
    kernel: str, precision: str, item_size: int, inner: int, outer: int, guide: int, target: str | None = None
) -> list[Tile]:
    """Tiles to try for a kernel with that many channels, those left out that do not fit; the default first.

    Args:
        kernel: Its name.
        precision: ``tf32``, ``ieee``, or ``narrow`` for 16 bits.
        item_size: Bytes of a value.
        inner: Channels of the inner dimension.
        outer: Channels of the output.
        guide: Channels of the guide.
        target: Architecture whose shared memory bounds them; the smallest known if None.
    """
    tried = PLAIN_TILES if precision == "ieee" else TENSOR_CORE_TILES
    cut = [
        tile._replace(
            inner=power_of_two(inner, SMALLEST, tile.inner),
            outer=power_of_two(outer, SMALLEST, tile.outer),
            guide=power_of_two(guide, 1, tile.guide),
        )
        for tile in tried
    ]
    limit = SHARED_BYTES.get(target or "", min(SHARED_BYTES.values()))
    fitting = [tile for tile in cut if registers(tile, item_size) <= REGISTERS and shared(tile, item_size) <= limit]
    tiles = dict.fromkeys(fitting or cut[:1])
    stages = STAGES.get((kernel, precision, item_size))
    return sorted(tiles, key=lambda tile: stages is not None and tile.stages != stages)


def registers(tile: Tile, item_size: int) -> int:
    """Registers a thread of a product, roughly: 24, and three for each register of sums and of scaled values.

    Fitted to what sm_90 took for tf32 (121 for 64 x 32 x 32, 170 for 64 x 64 x 32); it says a third too much for
    float64.
    """
    threads = 32 * tile.warps
    sums = tile.pixels * tile.outer * max(4, item_size) / 4
    values = tile.pixels * tile.inner * item_size / 4
    return int(24 + 3 * (sums + values) / threads)


def shared(tile: Tile, item_size: int) -> int:
    """Bytes of shared memory of a block: both operands of a product, once for each stage of the pipeline."""
    return (tile.pixels + tile.outer) * tile.inner * item_size * tile.stages


def widths_told(kernel: str, tile: Tile, item_size: int) -> bool:
    """Whether the compiler is told that widths are multiples of 16: `kernels/device_function.py` says what follows.

    Only where a pipeline copies values into shared memory and the kernel reads them back to scale them. Pipelines copy
    values of 4 bytes or more; those of one pixel a lane lie there channels first, all lanes in one bank. On an H200
    telling made these kernels 1.2 to 5 times faster for W1 and W2 (reports/reference/gpu_h200_second_run).
    """
    return kernel in SCALED_FROM_SHARED_MEMORY and item_size >= 4 and tile.stages > 1


def interpreted(height: int, width: int, inner: int, outer: int, guide: int) -> Tile:
    """Tiles as large as fits the work: the interpreter pays by operation, not by pixel."""
    columns = power_of_two(width, at_most=128)
    rows = power_of_two(height, at_most=max(1, 4096 // columns))
    return Tile(rows, columns, power_of_two(inner, 1, 64), power_of_two(outer, 1, 64), power_of_two(guide, 1, 64))
