"""Textures of the embedded scenes: patterns between two colours, evaluated at points of a surface."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pacbench.data.scene_shapes import Array

_LATTICE = 64


@dataclass(frozen=True)
class Texture:
    """A pattern that blends two colours.

    Attributes:
        kind: one of `KINDS`.
        colours: the two colours, float32 (2, 3), in 0..1.
        period: size of one repetition, in scene units (the scene's height is 1).
        angle: direction, in radians.
        phase: offset, in periods.
        lattice: random values (64, 64) that the noise patterns interpolate.
    """

    kind: str
    colours: Array
    period: float
    angle: float
    phase: float
    lattice: Array

    def at(self, x: Array, y: Array, smallest_period: float) -> Array:
        """Colours (3, n), in 0..1, at n points; no pattern repeats faster than `smallest_period`."""
        period = np.float32(max(self.period, smallest_period))
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        phase = np.float32(self.phase)
        along: Array = np.asarray((cos * x + sin * y) / period + phase, dtype=np.float32)
        across: Array = np.asarray((cos * y - sin * x) / period + phase, dtype=np.float32)
        amount = np.clip(_PATTERNS[self.kind](along, across, self.lattice), 0, 1)
        first, second = self.colours[0][:, None], self.colours[1][:, None]
        return np.asarray(first + (second - first) * amount, dtype=np.float32)


def _noise(lattice: Array, along: Array, across: Array, octaves: int) -> Array:
    """Fractal noise of mean 0.5: the lattice read by a cubic B-spline at doubling frequencies."""
    total = np.zeros_like(along)
    for octave in range(octaves):
        scale = np.float32(2**octave)
        where = np.stack([along * scale + np.float32(17.3 * octave), across * scale])
        read = ndimage.map_coordinates(lattice, where, order=3, mode="grid-wrap", prefilter=False)
        total += read.astype(np.float32) / scale
    return np.asarray(0.5 + total * np.float32(0.55), dtype=np.float32)


def _wave(phase: Array) -> Array:
    """A square wave with short ramps, so that edges are not harder than a lens would show."""
    return np.asarray(0.5 + 2.5 * np.sin(2 * np.pi * phase), dtype=np.float32)


def _worn(pattern: Array, along: Array, across: Array, lattice: Array) -> Array:
    """A pattern, clipped, then made a little uneven."""
    noise = _noise(lattice, np.float32(0.7) * along, np.float32(0.7) * across, 2)
    return np.asarray(0.85 * np.clip(pattern, 0, 1) + 0.3 * (noise - 0.25), dtype=np.float32)


def _stripes(along: Array, across: Array, lattice: Array) -> Array:
    return _worn(_wave(along), along, across, lattice)


def _checks(along: Array, across: Array, lattice: Array) -> Array:
    product = np.sin(2 * np.pi * along) * np.sin(2 * np.pi * across)
    return _worn(np.asarray(0.5 + 4 * product, dtype=np.float32), along, across, lattice)


def _dots(along: Array, across: Array, lattice: Array) -> Array:
    radius = np.hypot(np.mod(along, 1) - 0.5, np.mod(across, 1) - 0.5)
    return _worn(np.asarray((0.32 - radius) * 6, dtype=np.float32), along, across, lattice)


def _clouds(along: Array, across: Array, lattice: Array) -> Array:
    return _noise(lattice, along, across, 3)


def _grain(along: Array, across: Array, lattice: Array) -> Array:
    noise = _noise(lattice, np.float32(3) * along, np.float32(3) * across, 2)
    return np.asarray(0.5 + 1.6 * (noise - 0.5), dtype=np.float32)


def _gradient(along: Array, across: Array, lattice: Array) -> Array:
    slow = np.asarray(0.5 + 0.5 * np.sin(np.float32(0.7) * along), dtype=np.float32)
    return _worn(slow, along, across, lattice)


def _marble(along: Array, across: Array, lattice: Array) -> Array:
    veins = along * np.float32(0.7) + _noise(lattice, along, across, 2)
    return np.asarray(np.float32(0.8) * _wave(veins), dtype=np.float32)


_PATTERNS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "clouds": _clouds,
    "grain": _grain,
    "gradient": _gradient,
    "marble": _marble,
}
KINDS = tuple(_PATTERNS)


def draw_colour(rng: np.random.Generator, away_from: list[Array], distance: float) -> Array:
    """A random colour (3,) in 0..1, if possible at least `distance` (Euclidean, RGB) from each given one."""
    best, best_distance = np.zeros(3, dtype=np.float32), -1.0
    for _ in range(12):
        rgb = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.1, 0.75), rng.uniform(0.25, 0.9))
        colour = np.asarray(rgb, dtype=np.float32)
        nearest = min((float(np.linalg.norm(colour - other)) for other in away_from), default=2.0)
        if nearest > best_distance:
            best, best_distance = colour, nearest
        if nearest >= distance:
            break
    return best


def draw_texture(
    rng: np.random.Generator, kinds: tuple[str, ...], colour: Array, contrast: tuple[float, float]
) -> Texture:
    """A random texture around a mean colour; `contrast` bounds its two colours' distance (RGB, 0..1)."""
    direction = rng.normal(size=3) * 0.5 + rng.choice([-1.0, 1.0])
    direction *= rng.uniform(*contrast) / (2 * np.linalg.norm(direction))
    colours = np.clip(np.stack([colour - direction, colour + direction]), 0.02, 0.98)
    lattice: npt.NDArray[np.float64] = rng.normal(size=(_LATTICE, _LATTICE))
    return Texture(
        kind=str(rng.choice(kinds)),
        colours=colours.astype(np.float32),
        period=float(np.exp(rng.uniform(np.log(0.02), np.log(0.09)))),
        angle=float(rng.uniform(0, np.pi)),
        phase=float(rng.uniform(0, 40)),
        lattice=lattice.astype(np.float32),
    )
