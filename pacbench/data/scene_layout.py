"""What stands where in an embedded scene: a background and objects, drawn at random, size-independent.

Lengths are in scene units (the scene's height is 1, x runs to the aspect ratio), depths in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pacbench.data.scene_shapes import OUTLINES, Array, Outline
from pacbench.data.scene_textures import KINDS, Texture, draw_colour, draw_texture

CLASS_NAMES = ("background", *OUTLINES)
SURFACES = ("plane", "ball", "cylinder")
_NEAREST, _FARTHEST = 1.6, 4.8  # depths of objects; the background is nowhere nearer than 5.5 m


@dataclass(frozen=True)
class Motion:
    """An affine motion: displacement (2,) at the centre, matrix (2, 2) for offsets from it; scene units."""

    displacement: npt.NDArray[np.float64]
    matrix: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Thing:
    """One object: where it is, how it looks, how it moves."""

    label: int
    outline: Outline
    centre: tuple[float, float]
    radius: float
    angle: float
    depth: float
    surface: str
    slope: tuple[float, float]
    texture: Texture
    motion: Motion

    def own_coordinates(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Scene coordinates to the object's own, in which it has a radius of about 1."""
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        dx = (x - np.float32(self.centre[0])) / np.float32(self.radius)
        dy = (y - np.float32(self.centre[1])) / np.float32(self.radius)
        return cos * dx + sin * dy, cos * dy - sin * dx

    def relief(self, u: Array, v: Array) -> tuple[Array, Array]:
        """Depth in metres and shading (about 1) at points given in the object's own coordinates."""
        plane = np.float32(self.slope[0]) * u + np.float32(self.slope[1]) * v
        depth, shading = self.depth + plane, 1 - np.float32(0.5) * plane
        if self.surface != "plane":
            square = u * u + v * v if self.surface == "ball" else u * u
            bulge = np.sqrt(np.maximum(1 - square, 0))
            depth = depth - np.float32(0.35) * bulge
            shading = shading * (np.float32(0.5) + np.float32(0.5) * bulge - np.float32(0.22) * (u + v))
        return np.asarray(depth, dtype=np.float32), np.asarray(shading, dtype=np.float32)


@dataclass(frozen=True)
class Backdrop:
    """A slanted, curved wall above a ground plane that recedes to it, with marks painted on both."""

    horizon: float
    wall_depth: float
    wall_slope: float
    wall_curve: float
    ground_depth: float
    wall: Texture
    ground: Texture
    marks: tuple[tuple[Outline, tuple[float, float], float, Texture], ...]
    motion: Motion

    def depth(self, x: Array, y: Array) -> Array:
        """Depth in metres; along the ground its inverse is linear in y, as perspective has it."""
        across = x - np.float32(0.7)
        wall = self.wall_depth + self.wall_slope * across + self.wall_curve * np.cos(np.float32(2.5) * across)
        down = np.clip((y - self.horizon) / (1 - self.horizon), 0, 1)
        return np.asarray(1 / ((1 - down) / wall + down / self.ground_depth), dtype=np.float32)


@dataclass(frozen=True)
class Layout:
    """A backdrop and the objects before it."""

    backdrop: Backdrop
    things: tuple[Thing, ...]
    light: tuple[float, float]


def _motion(rng: np.random.Generator, camera: npt.NDArray[np.float64], depth: float, own: float) -> Motion:
    """The camera's parallax at a depth, plus an own motion with rotation and zoom of strength `own`."""
    rotation, zoom, shear = rng.normal(size=3) * 0.05 * own
    matrix = np.array([[zoom, shear - rotation], [rotation, zoom]])
    return Motion(camera / depth + rng.normal(size=2) * 0.012 * own, matrix)


def _backdrop(rng: np.random.Generator, aspect: float, camera: npt.NDArray[np.float64]) -> Backdrop:
    wall_colour = draw_colour(rng, [], 0.0)
    ground_colour = draw_colour(rng, [wall_colour], 0.25)
    marks = []
    for _ in range(int(rng.integers(2, 5))):
        outline = OUTLINES[str(rng.choice(["ball", "box", "blob", "star"]))](rng)
        where = (float(rng.uniform(0, aspect)), float(rng.uniform(0, 1)))
        colour = draw_colour(rng, [wall_colour, ground_colour], 0.2)
        texture = draw_texture(rng, KINDS, colour, (0.05, 0.25))
        marks.append((outline, where, float(rng.uniform(0.05, 0.14)), texture))
    return Backdrop(
        horizon=float(rng.uniform(0.5, 0.75)),
        wall_depth=float(rng.uniform(8.5, 11)),
        wall_slope=float(rng.uniform(-1.5, 1.5)),
        wall_curve=float(rng.uniform(-0.8, 0.8)),
        ground_depth=float(rng.uniform(5.5, 6.5)),
        wall=draw_texture(rng, KINDS, wall_colour, (0.1, 0.35)),
        ground=draw_texture(rng, KINDS, ground_colour, (0.1, 0.4)),
        marks=tuple(marks),
        motion=_motion(rng, camera, 9.0, 0.1),
    )


def _place(rng: np.random.Generator, aspect: float, taken: list[tuple[float, float]]) -> tuple[float, float]:
    """Of a few random places the one farthest from those taken: objects overlap, yet few are hidden."""
    best, best_distance = (0.0, 0.0), -1.0
    for _ in range(4):
        place = (float(rng.uniform(0.08, 0.92) * aspect), float(rng.uniform(0.15, 0.9)))
        distance = min((float(np.hypot(place[0] - x, place[1] - y)) for x, y in taken), default=0.0)
        if distance > best_distance:
            best, best_distance = place, distance
    return best


def draw_layout(rng: np.random.Generator, aspect: float) -> Layout:
    """Draw a scene of five to eight objects.

    An object's class decides its outline; its colour is drawn regardless of class, but visibly apart from
    the backdrop's colours and the other objects', and any class may wear any texture.

    Args:
        rng: the source of all randomness.
        aspect: width divided by height.
    """
    camera = rng.normal(size=2) * np.array([0.05, 0.02])
    backdrop = _backdrop(rng, aspect, camera)
    used = [texture.colours.mean(axis=0) for texture in (backdrop.wall, backdrop.ground)]
    count = int(rng.integers(5, 9))
    labels = np.concatenate([rng.permutation(7) + 1, rng.permutation(7) + 1])[:count]
    places: list[tuple[float, float]] = []
    things = []
    for label in labels.tolist():
        name = CLASS_NAMES[label]
        depth = float(rng.uniform(_NEAREST, _FARTHEST))
        places.append(_place(rng, aspect, places))
        colour = draw_colour(rng, used, 0.3)
        used.append(colour)
        things.append(
            Thing(
                label=label,
                outline=OUTLINES[name](rng),
                centre=places[-1],
                radius=float(rng.uniform(0.16, 0.25) * (1.35 - 0.11 * depth)),
                angle=float(rng.normal() * (0.15 if name in ("fence", "chair") else 0.7)),
                depth=depth,
                surface="plane" if name in ("fence", "chair") else str(rng.choice(SURFACES)),
                slope=(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.3, 0.3))),
                texture=draw_texture(rng, KINDS, colour, (0.1, 0.45)),
                motion=_motion(rng, camera, depth, 1.0),
            )
        )
    light = (float(rng.choice([-1.0, 1.0]) * rng.uniform(0.02, 0.05)), float(rng.uniform(0.015, 0.04)))
    return Layout(backdrop, tuple(things), light)
