"""Toys: rubber duck, beach ball, die."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.recipes.tabletop.printed_faces import die_face
from data.recipes.tabletop.surfaces import Material, Part, Parts, ball_part, box, placement
from data.recipes.tabletop.textures import Colour, beach_panels, glaze

_SIDES = ("front", "back", "left", "right", "top", "bottom")


def rubber_duck(
    colour: Colour = (250, 205, 40), *, beak: Colour = (240, 112, 30), scale: float = 1.0, seed: int = 0
) -> Parts:
    """A bath duck that looks to -y."""
    rubber = Material(texture=glaze(colour, seed), gloss=0.55, shininess=40)
    bill, eye = (
        Material(texture=glaze(beak, seed), gloss=0.4),
        Material(texture=glaze((24, 22, 24)), gloss=0.9, shininess=90),
    )
    body = ball_part(0.045, rubber, stretch=(0.86, 1.12, 0.74), step=0.004)
    points = body.mesh.vertices.copy()
    tail = np.clip((points[:, 1] - 0.012) / 0.038, 0, 1) ** 2
    points[:, 2] += 0.026 * tail
    points[:, 0] *= 1 - 0.35 * tail
    body.mesh.vertices = np.maximum(points, [-1, -1, -0.028])
    parts = [
        body.moved(placement(offset=(0, 0, 0.028))),
        ball_part(0.029, rubber, step=0.004).moved(placement(offset=(0, -0.026, 0.074))),
        ball_part(0.0135, bill, stretch=(1.15, 1.05, 0.45), step=0.003).moved(
            placement(offset=(0, -0.056, 0.07), tilt=-8)
        ),
    ]
    for side in (-1, 1):
        parts.append(ball_part(0.0048, eye, step=0.002).moved(placement(offset=(side * 0.0135, -0.0495, 0.081))))
        wing = ball_part(0.026, rubber, stretch=(0.26, 0.95, 0.58), step=0.004)
        parts.append(wing.moved(placement(offset=(side * 0.0335, 0.004, 0.036), tilt=14)))
    return tuple(part.moved(np.diag([scale, scale, scale, 1.0])) for part in parts)


def beach_ball(colours: Sequence[Colour], *, radius: float = 0.052, tilt: float = 28.0) -> Parts:
    """A striped ball with its poles leaning."""
    skin = Material(texture=beach_panels(colours), gloss=0.5, shininess=40)
    return (ball_part(radius, skin).moved(placement(offset=(0, 0, radius), tilt=tilt)),)


def die(colour: Colour = (206, 36, 44), *, size: float = 0.05, rounding: float = 0.009) -> Parts:
    """A die with rounded edges; opposite sides add up to seven."""
    pips = {"front": 2, "back": 5, "left": 3, "right": 4, "top": 6, "bottom": 1}
    faces = {side: Material(texture=die_face(pips[side], colour), gloss=0.5, shininess=45) for side in _SIDES}
    return tuple(_rounded(part, size, rounding) for part in box((size, size, size), faces, step=size / 14))


def _rounded(part: Part, size: float, rounding: float) -> Part:
    centre = np.array([0, 0, size / 2])
    inner = size / 2 - rounding
    offset = part.mesh.vertices - centre
    anchor = np.clip(offset, -inner, inner)
    reach = offset - anchor
    reach *= rounding / np.maximum(np.linalg.norm(reach, axis=1, keepdims=True), 1e-9)
    part.mesh.vertices = centre + anchor + reach
    return part
