"""Outlines of the objects of the embedded scenes, as implicit functions.

An outline maps an object's own coordinates (the object has a radius of about 1) to something close to the
signed distance to its border: negative inside, positive outside. Being distances, they serve three purposes:
which pixels an object covers, how soft its shadow is, and which colour marks are painted on a wall.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Outline = Callable[[Array, Array], Array]


def _box(u: Array, v: Array, centre: tuple[float, float], half: tuple[float, float]) -> Array:
    du = np.abs(u - np.float32(centre[0])) - np.float32(half[0])
    dv = np.abs(v - np.float32(centre[1])) - np.float32(half[1])
    outside = np.hypot(np.maximum(du, 0), np.maximum(dv, 0))
    return np.asarray(outside + np.minimum(np.maximum(du, dv), 0), dtype=np.float32)


def _boxes(parts: list[tuple[float, float, float, float]]) -> Outline:
    """The union of boxes (centre u, centre v, half width, half height)."""

    def outline(u: Array, v: Array) -> Array:
        distance = _box(u, v, parts[0][:2], parts[0][2:])
        for part in parts[1:]:
            distance = np.minimum(distance, _box(u, v, part[:2], part[2:]))
        return distance

    return outline


def _polar(radius: Callable[[Array], Array]) -> Outline:
    """A star-shaped outline whose radius is a function of the angle."""

    def outline(u: Array, v: Array) -> Array:
        return np.asarray(np.hypot(u, v) - radius(np.arctan2(v, u)), dtype=np.float32)

    return outline


def ball(rng: np.random.Generator) -> Outline:
    """An ellipse of axis ratio 0.75 to 1."""
    ratio = np.float32(rng.uniform(0.75, 1.0))
    return lambda u, v: np.asarray((np.hypot(u, v / ratio) - 1) * ratio, dtype=np.float32)


def box(rng: np.random.Generator) -> Outline:
    """A rectangle with rounded corners."""
    half = (rng.uniform(0.7, 0.9), rng.uniform(0.45, 0.8))
    rounding = np.float32(0.08)
    return lambda u, v: _box(u, v, (0.0, 0.0), half) - rounding


def ring(rng: np.random.Generator) -> Outline:
    """An annulus: what lies behind is seen through its middle."""
    width = np.float32(rng.uniform(0.15, 0.24))
    return lambda u, v: np.asarray(np.abs(np.hypot(u, v) - (1 - width)) - width, dtype=np.float32)


def star(rng: np.random.Generator) -> Outline:
    """A star of five to seven points."""
    points = int(rng.integers(5, 8))
    depth = rng.uniform(0.3, 0.45)

    def radius(angle: Array) -> Array:
        tooth = np.abs(np.mod(angle * points / (2 * np.pi), 1.0) - 0.5) * 2
        return np.asarray(1 - depth + depth * (2 * tooth - 1), dtype=np.float32)

    return _polar(radius)


def blob(rng: np.random.Generator) -> Outline:
    """A smooth organic outline: a circle with random low harmonics."""
    harmonics = np.arange(2, 6)
    amplitudes = rng.uniform(0.04, 0.16, harmonics.size)
    phases = rng.uniform(0, 2 * np.pi, harmonics.size)

    def radius(angle: Array) -> Array:
        total = np.full_like(angle, 0.8)
        for harmonic, amplitude, phase in zip(harmonics, amplitudes, phases, strict=True):
            total += np.float32(amplitude) * np.cos(np.float32(harmonic) * angle + np.float32(phase))
        return total

    return _polar(radius)


def fence(rng: np.random.Generator) -> Outline:
    """Thin posts on two thin rails; half widths are 6 to 9 percent of the radius."""
    posts = int(rng.integers(3, 6))
    thin = rng.uniform(0.06, 0.09)
    parts = [(float(x), 0.0, thin, 0.8) for x in np.linspace(-0.95, 0.95, posts)]
    parts += [(0.0, y, 1.05, thin) for y in (-0.4, 0.35)]
    return _boxes(parts)


def chair(rng: np.random.Generator) -> Outline:
    """A back and a seat on thin legs."""
    leg = rng.uniform(0.06, 0.09)
    seat = rng.uniform(0.0, 0.15)
    parts = [
        (-0.55, -0.45, 0.12, 0.5 + seat),
        (0.0, seat, 0.65, 0.13),
        (-0.58, 0.55, leg, 0.5),
        (0.58, 0.55, leg, 0.5),
        (0.0, 0.6, 0.6, leg * 0.8),
    ]
    return _boxes(parts)


OUTLINES: dict[str, Callable[[np.random.Generator], Outline]] = {
    "ball": ball,
    "box": box,
    "ring": ring,
    "star": star,
    "blob": blob,
    "fence": fence,
    "chair": chair,
}
