"""Pictures of flat shapes: one to six of them, of twelve colours and ten forms, on plain, shaded or grainy ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data.recipes.household.palette import NAMED, shade_of
from data.recipes.vlm_tiny.exchange import SIDE, Rng, one_of
from data.recipes.vlm_tiny.vocabulary import SHAPES, colour_number, what_number

_SHIFT = 4
_COUNTS = (0.1, 0.18, 0.22, 0.22, 0.2, 0.08)
"""How often there are one to six shapes."""
_APART = 1.08
"""Shapes keep at least this many radii between their centres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One shape of a picture; places and sizes in pixels."""

    form: str
    colour: str
    x: float
    y: float
    radius: float
    angle: float
    """Turned by so much, radians."""
    rgb: tuple[int, int, int]

    @property
    def name(self) -> str:
        """Colour and form."""
        return f"{self.colour} {self.form}"


def draw_shapes(rng: Rng, *, easy: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Shape]]:
    """Image, number of what and of the colour of each pixel, and the shapes; an easy picture has one or two."""
    ground = rng.integers(20, 240, 3).astype(float)
    if rng.random() < 0.5:
        ground = np.clip(ground.mean() + (ground - ground.mean()) * 0.25, 0, 255)
    count = int(rng.integers(1, 3) if easy else rng.choice([1, 2, 3, 4, 5, 6], p=_COUNTS))
    shapes = _place(rng, ground, count)
    image = _painted_ground(rng, ground).astype(np.float32)
    what = np.zeros((SIDE, SIDE), np.int16)
    colour = np.zeros((SIDE, SIDE), np.int16)
    for shape in shapes:
        cover = np.zeros((SIDE, SIDE), np.uint8)
        _fill(cover, shape)
        share = cover[..., None] / np.float32(255)
        body = np.asarray(shape.rgb, np.float32) * _surface(rng).astype(np.float32)[..., None]
        image = image * (1 - share) + body * share
        what[cover > 127], colour[cover > 127] = what_number(shape.form), colour_number(shape.colour)
    image = image + rng.standard_normal(image.shape, np.float32) * rng.uniform(0, 6)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    return np.clip(image, 0, 255).astype(np.uint8), what, colour, shapes


def _place(rng: Rng, ground: np.ndarray, count: int) -> list[Shape]:
    forms, colours = _few(rng, SHAPES, rng.random() < 0.5), _few(rng, tuple(NAMED), rng.random() < 0.3)
    shapes: list[Shape] = []
    for _ in range(count * 12):
        if len(shapes) == count:
            break
        radius = rng.uniform(16, 46 if count < 4 else 36)
        x, y = rng.uniform(radius + 2, SIDE - radius - 2, 2)
        if any(np.hypot(x - other.x, y - other.y) < (radius + other.radius) * _APART for other in shapes):
            continue
        name = one_of(rng, colours)
        rgb = shade_of(rng, name)
        if np.abs(np.asarray(rgb) - ground).sum() < 110:
            continue
        form = one_of(rng, forms)
        place = {"x": float(x), "y": float(y), "radius": float(radius), "angle": _angle(rng, form)}
        shapes.append(Shape(form=form, colour=name, rgb=rgb, **place))
    return shapes or _place(rng, ground, count)


def _few(rng: Rng, names: tuple[str, ...], few: bool) -> list[str]:
    """All names, or one to three of them: pictures in which things repeat."""
    return list(rng.choice(names, int(rng.integers(1, 4)), replace=False)) if few else list(names)


def _angle(rng: Rng, form: str) -> float:
    if form in ("square", "cross", "diamond", "heart"):
        return float(np.deg2rad(rng.uniform(-15, 15)))
    return float(rng.uniform(0, 2 * np.pi))


def _painted_ground(rng: Rng, ground: np.ndarray) -> np.ndarray:
    image = np.broadcast_to(ground, (SIDE, SIDE, 3)).copy()
    style = rng.random()
    if style < 0.35:
        ramp = np.linspace(-1, 1, SIDE)
        image += ramp[None, :, None] * rng.uniform(-18, 18) + ramp[:, None, None] * rng.uniform(-18, 18)
    elif style < 0.6:
        coarse = rng.normal(0, 9, (int(rng.integers(4, 40)),) * 2).astype(np.float32)
        image += cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
    return image


def _surface(rng: Rng) -> np.ndarray:
    """Relative brightness of a shape's surface."""
    style = rng.random()
    across = np.arange(SIDE) * rng.uniform(0.15, 0.6)
    if style < 0.75:
        return np.ones((SIDE, SIDE))
    if style < 0.88:
        return np.broadcast_to(np.where(np.sin(across) > 0, 1.0, 0.82), (SIDE, SIDE))
    return np.broadcast_to(np.where(np.sin(across) > 0, 1.0, 0.82)[:, None], (SIDE, SIDE))


def outline(form: str) -> np.ndarray:
    """Corners of a form inside the unit circle, [corner, 2]; a circle and a moon are fine polygons."""
    turn = np.linspace(0, 2 * np.pi, 49)[:-1]
    if form in ("circle", "ring"):
        return np.stack([np.cos(turn), np.sin(turn)], 1)
    if form in ("square", "triangle", "hexagon"):
        corners, first = {"square": (4, np.pi / 4), "triangle": (3, -np.pi / 2), "hexagon": (6, 0.0)}[form]
        places = first + np.arange(corners) * 2 * np.pi / corners
        return np.stack([np.cos(places), np.sin(places)], 1)
    if form == "diamond":
        return np.array([[0, -1], [0.55, 0], [0, 1], [-0.55, 0]])
    if form == "star":
        places = -np.pi / 2 + np.arange(10) * np.pi / 5
        return np.where(np.arange(10) % 2 == 0, 1.0, 0.42)[:, None] * np.stack([np.cos(places), np.sin(places)], 1)
    if form == "cross":
        a, b = 0.92, 0.3
        return np.array([
            [-b, -a], [b, -a], [b, -b], [a, -b], [a, b], [b, b], [b, a], [-b, a], [-b, b], [-a, b], [-a, -b], [-b, -b]
        ])  # fmt: skip
    if form == "heart":
        x = 16 * np.sin(turn) ** 3
        y = -(13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn))
        return np.stack([x, y], 1) / 17.5
    outer = np.linspace(np.pi * 0.28, np.pi * 1.72, 30)
    inner = np.linspace(np.pi * 1.62, np.pi * 0.38, 30)
    return np.concatenate([
        np.stack([np.cos(outer), np.sin(outer)], 1), np.stack([0.38 + 0.86 * np.cos(inner), 0.86 * np.sin(inner)], 1)
    ])  # fmt: skip


def _fill(cover: np.ndarray, shape: Shape) -> None:
    cos, sin = np.cos(shape.angle), np.sin(shape.angle)
    places = outline(shape.form) @ np.array([[cos, sin], [-sin, cos]]) * shape.radius + (shape.x, shape.y)
    points = np.round(places * 2**_SHIFT).astype(np.int32)
    cv2.fillPoly(cover, [points], 255, cv2.LINE_AA, _SHIFT)
    if shape.form == "ring":
        hole = np.round(((places - (shape.x, shape.y)) * 0.55 + (shape.x, shape.y)) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(cover, [hole], 0, cv2.LINE_AA, _SHIFT)
