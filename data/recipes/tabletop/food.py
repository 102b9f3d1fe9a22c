"""Fruit and cakes: apple, banana, doughnut."""

from __future__ import annotations

import numpy as np

from data.recipes.tabletop.printed_faces import iced_ring
from data.recipes.tabletop.surfaces import Material, Parts, lathe, sheet, smooth_curve, tube
from data.recipes.tabletop.textures import Colour, bands, glaze, picture_of, smooth_noise, speckled


def apple(colour: Colour, *, blush: Colour, radius: float = 0.039, seed: int = 0) -> Parts:
    """An apple with a dimple, a stem and a small leaf; `blush` colours one side."""
    turn = np.linspace(0.0, np.pi, 48)
    reach = radius * np.sin(turn) * (1.0 + 0.09 * np.cos(turn))
    dimple = 0.36 * np.exp(-((turn / 0.42) ** 2)) + 0.16 * np.exp(-(((np.pi - turn) / 0.3) ** 2)) * -1.0
    height = radius * (0.94 * np.cos(turn) - dimple)
    height -= height.min()
    rng = np.random.default_rng(seed)
    phase = float(rng.uniform(0, 2 * np.pi))
    skin = Material(texture=speckled(colour, blush, seed=seed), gloss=0.55, shininess=35)
    body = lathe(np.stack([reach, height], 1), skin, sections=48)
    points = body.mesh.vertices.copy()
    angle = np.arctan2(points[:, 1], points[:, 0])
    lobes = 1 + 0.018 * np.cos(5 * angle + phase) * np.clip(1.2 - points[:, 2] / radius, 0, 1)
    body.mesh.vertices = points * np.stack([lobes, lobes, np.ones_like(lobes)], 1)
    base = float(height[0])
    lean = rng.uniform(-0.006, 0.006, 2)
    bark = Material(texture=glaze((88, 58, 34), seed))
    stem = tube(
        smooth_curve([(0, 0, base - 0.003), (*lean * 0.4, base + 0.012), (*lean, base + 0.022)], 8),
        (0.0016,) * 7 + (0.0023,),
        bark,
        sections=8,
    )
    tip = np.array([*lean * 0.6, base + 0.014])
    away = np.array([np.cos(phase), np.sin(phase), 0.0])
    spine = smooth_curve([tip, tip + 0.016 * away + (0, 0, 0.006), tip + 0.034 * away + (0, 0, -0.002)], 12)
    green = Material(texture=glaze((84, 148, 54), seed), gloss=0.2)
    leaf = tube(spine, 0.009 * np.sin(np.linspace(0.2, np.pi - 0.05, 12)), green, sections=10, flatten=0.16)
    return body, stem, leaf


def banana(colour: Colour = (246, 208, 58), *, length: float = 0.19, thickness: float = 0.019, seed: int = 0) -> Parts:
    """A banana lying on its side, bent in the table's plane, with brown ends and a few spots."""
    bend = np.linspace(-1.05, 1.05, 44)
    curve = length / 2.0
    path = np.stack([curve * np.sin(bend), -curve * np.cos(bend) + curve * 0.72, np.full_like(bend, thickness)], 1)
    t = np.linspace(0, 1, len(bend))
    radii = thickness * np.clip(np.sin(np.pi * np.clip(0.06 + 0.9 * t, 0, 1)) ** 0.55, 0.28, 1)
    radii[t < 0.1] = np.minimum(radii[t < 0.1], thickness * 0.36)
    radii[[0, -1]] = 0.0005
    brown: Colour = (92, 66, 34)
    texture = bands([(0.07, brown), (0.13, (176, 176, 62)), (0.94, colour), (1.0, brown)], seed, size=(256, 96)).astype(
        float
    )
    spots = (smooth_noise(256, 96, 4.0, seed + 3) > 2.1)[..., None]
    texture = picture_of(np.where(spots, 0.55 * texture + 0.45 * np.array(brown), texture))
    return (tube(path, radii, Material(texture=texture, gloss=0.2, shininess=14), sections=24),)


def doughnut(
    icing: Colour = (240, 128, 176),
    *,
    dough: Colour = (206, 150, 86),
    radius: float = 0.036,
    thickness: float = 0.02,
    seed: int = 0,
) -> Parts:
    """A ring doughnut with icing that runs down in waves, and sprinkles."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, 3)

    def edge(u: float) -> float:
        """Lower border of the icing, as v at u."""
        return 0.5 + sum(
            0.016 * float(np.sin(2 * np.pi * count * u + start)) for count, start in zip((4, 7, 9), phase, strict=True)
        )

    u, v = np.meshgrid(np.linspace(0, 1, 97), np.linspace(0, 1, 41))
    border = np.vectorize(edge)(u)
    iced = np.clip((border - v) / 0.03, 0, 1) * np.clip(v / 0.03, 0, 1)
    # v runs from the inner waist over the top to the outer waist and back below: 0.25 is the crown.
    turn = np.pi - 2 * np.pi * v * 1.0
    swell = thickness * (1 + 0.07 * iced)
    reach = radius + swell * np.cos(turn)
    angle = 2 * np.pi * u
    height = 0.86 * (thickness + swell * np.sin(turn))
    points = np.stack([reach * np.cos(angle), reach * np.sin(angle), height], -1)
    skin = Material(texture=iced_ring(dough, icing, edge, seed), gloss=0.4, shininess=30)
    return (sheet(points, skin),)
