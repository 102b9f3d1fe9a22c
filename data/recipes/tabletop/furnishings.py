"""Things that furnish a table: lamp, clock, candle, vase, flowers, potted plant. All stand on z = 0, front to -y."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trimesh
from jaxtyping import Float
from numpy import ndarray

from data.recipes.tabletop.kitchenware import glazed
from data.recipes.tabletop.printed_faces import clock_dial
from data.recipes.tabletop.surfaces import (
    Material,
    Part,
    Parts,
    ball_part,
    lathe,
    moved,
    placement,
    sheet,
    smooth_curve,
    tube,
)
from data.recipes.tabletop.textures import Colour, bands, diamond_border, glaze, woven_shade


def vase(colour: Colour, *, figure: Colour, height: float = 0.16, width: float = 0.056, seed: int = 0) -> Parts:
    """A slender vase with a border of diamonds at its shoulder; dark inside."""
    heights = np.array([1.0, 0.93, 0.8, 0.62, 0.42, 0.2, 0.0]) * height
    radii = np.array([0.62, 0.5, 0.52, 0.86, 1.0, 0.86, 0.58]) * width
    line = smooth_curve(np.stack([radii, heights], 1), 30)
    border = diamond_border(colour, figure, (228, 178, 62), size=(58, 384), count=10)
    plain = glaze(colour, seed, size=64).mean((0, 1)).astype(np.uint8)
    texture = np.concatenate([np.broadcast_to(plain, (70, 384, 3)), border, np.broadcast_to(plain, (72, 384, 3))])
    skin = lathe([*map(tuple, line), (0, 0)], Material(texture=texture, gloss=0.9, shininess=80))
    lip, dark = float(line[0, 0]), Material(texture=glaze((46, 40, 38), seed))
    return skin, lathe([(0, height - 0.02), (lip - 0.012, height - 0.02), (lip - 0.004, height), (lip, height)], dark)


def candle(wax: Colour, dish: Colour, *, height: float = 0.1, radius: float = 0.024, seed: int = 0) -> Parts:
    """A burning pillar candle on a small dish."""
    bottom = 0.008
    saucer = lathe(
        [(0, bottom), (0.042, bottom), (0.05, 0.017), (0.053, 0.016), (0.042, 0), (0, 0)], glazed(dish, seed)
    )
    shade = bands([(0.35, tinted(wax, 1.08)), (1.0, wax)], seed)
    top = bottom + height
    side = [
        (0, top - 0.005),
        (radius * 0.7, top - 0.004),
        (radius * 0.93, top),
        (radius, top - 0.003),
        (radius, bottom),
    ]
    pillar = lathe(side, Material(texture=shade, gloss=0.3, shininess=20))
    wick = tube(np.array([(0, 0, top - 0.006), (0, 0, top + 0.004)]), 0.0014, Material(texture=glaze((40, 30, 26))))
    teardrop = [(0.0, 0.036), (0.0035, 0.024), (0.0075, 0.012), (0.0078, 0.007), (0.004, 0.001), (0, 0)]
    flame = lathe(smooth_curve(teardrop, 18), Material(texture=glaze((255, 206, 104)), glow=2.6))
    return saucer, pillar, wick, flame.moved(placement(offset=(0, 0, top + 0.001)))


def bouquet(
    colours: Sequence[Colour],
    *,
    leaf: Colour = (70, 128, 62),
    height: float = 0.15,
    spread: float = 0.06,
    seed: int = 0,
) -> Parts:
    """Tulips on bent stems with a few leaves, growing from the origin upwards."""
    rng = np.random.default_rng(seed)
    parts: list[Part] = []
    green = Material(texture=glaze(leaf, seed, variation=9))
    for number, colour in enumerate(colours):
        angle = 2 * np.pi * (number / max(1, len(colours) - 1)) + rng.uniform(-0.2, 0.2)
        reach = 0.0 if number == len(colours) - 1 else spread * rng.uniform(0.85, 1.1)
        top = height * (1.12 if reach == 0 else rng.uniform(0.82, 1.0))
        head = np.array([reach * np.cos(angle), reach * np.sin(angle), top])
        stem = smooth_curve([(0, 0, -0.02), head * (0.28, 0.28, 0.5), head * (1, 1, 0.94)], 14)
        parts.append(tube(stem, 0.003, green, sections=8))
        parts.extend(moved(tulip(colour, seed=seed + number), _aligned(stem[-1], stem[-1] - stem[-3])))
    for number in range(5):
        angle = 2 * np.pi * (number + 0.4) / 5
        lean = np.array([np.cos(angle), np.sin(angle), 0.0])
        spine = smooth_curve([lean * 0.004, lean * 0.028 + (0, 0, 0.06), lean * 0.062 + (0, 0, 0.088)], 14)
        width = 0.014 * np.sin(np.linspace(0.25, np.pi - 0.03, 14)) + 0.0006
        parts.append(tube(spine, width, green, sections=10, flatten=0.14 if number % 2 else 0.18))
    return tuple(parts)


def tulip(colour: Colour, *, size: float = 0.046, seed: int = 0) -> Parts:
    """A closed tulip head with its base at the origin."""
    rows, columns = 16, 49
    t, angle = np.linspace(0, 1, rows)[:, None], np.linspace(0, 2 * np.pi, columns)[None]
    petal = np.abs(np.cos(1.5 * angle))
    radius = 0.46 * size * np.sin(0.25 + 2.4 * (1 - t)) * (0.86 + 0.14 * petal)
    height = size * ((1 - t) + 0.16 * (petal - 0.5) * (1 - t) ** 2)
    radius = np.where(t > 0.999, 0.0, radius)
    outside = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(height, radius.shape)], -1)
    texture = bands([(0.3, tinted(colour, 1.12)), (0.75, colour), (1.0, tinted(colour, 0.82))], seed)
    skin = Material(texture=texture, gloss=0.15, shininess=15)
    inside = outside[::-1] * (0.93, 0.93, 1.0)
    inside[0] = (0, 0, 0.3 * size)
    return sheet(outside, skin), sheet(np.maximum(inside, [-1, -1, 0.25 * size]), skin)


def potted_plant(
    pot: Colour = (196, 104, 66), *, leaf: Colour = (70, 146, 62), leaves: int = 16, seed: int = 0
) -> Parts:
    """A house plant with long leaves in a clay pot."""
    rng = np.random.default_rng(seed)
    clay, soil = Material(texture=glaze(pot, seed)), Material(texture=glaze((70, 50, 38), seed + 1, variation=12))
    outer = lathe([(0.055, 0.09), (0.056, 0.1), (0.06, 0.1), (0.06, 0.082), (0.054, 0.08), (0.042, 0.0), (0, 0)], clay)
    parts = [outer, lathe([(0, 0.088), (0.0555, 0.09)], soil)]
    for number in range(leaves):
        yaw, lean = 2 * np.pi * number / leaves + rng.normal(0, 0.15), rng.uniform(0.25, 1.0)
        length = rng.uniform(0.12, 0.19)
        t = np.linspace(0, 1, 14)
        reach = 0.012 + length * lean * 0.75 * t**1.4
        lift = 0.088 + length * (t - 0.45 * lean * t**2.2)
        path = np.stack([reach * np.cos(yaw), reach * np.sin(yaw), lift], 1)
        green = Material(texture=glaze(tinted(leaf, rng.uniform(0.8, 1.15)), seed + number), gloss=0.15)
        parts.append(tube(path, 0.0135 * np.sin(np.pi * (0.12 + 0.86 * t)), green, sections=10, flatten=0.15))
    return tuple(parts)


def tinted(colour: Colour, factor: float) -> Colour:
    """A colour made lighter (above 1) or darker (below 1)."""
    red, green, blue = (int(min(255, channel * factor)) for channel in colour)
    return red, green, blue


def table_lamp(
    colour: Colour = (60, 74, 92), *, shade: Colour = (244, 222, 178), height: float = 0.36, seed: int = 0
) -> Parts:
    """A lamp with a round foot, a thin stem and a glowing linen shade, open above and below."""
    metal = Material(texture=glaze(colour, seed), gloss=0.6, shininess=50)
    foot = lathe([(0, 0.03), (0.008, 0.029), (0.012, 0.02), (0.05, 0.014), (0.062, 0.008), (0.062, 0), (0, 0)], metal)
    stem = tube(
        smooth_curve([(0, 0, 0.02), (0, 0, height * 0.45), (0, 0, height * 0.8)], 24), 0.0062, metal, sections=14
    )
    knob = ball_part(0.013, metal).moved(placement(offset=(0, 0, height * 0.34)))
    low, high = height * 0.62, height
    linen = Material(texture=woven_shade(shade, seed), glow=0.42)
    lining = Material(texture=glaze((255, 236, 196), seed), glow=0.7)
    outer = lathe([(0.058, high), (0.098, low)], linen, sections=72)
    inner = lathe([(0.097, low + 0.0002), (0.0572, high - 0.0002)], lining, sections=72)
    trim = [
        lathe(
            [(0.0568, high), (0.0568, high + 0.0012), (0.0592, high + 0.0012), (0.0602, high - 0.005)],
            metal,
            sections=72,
        ),
        lathe(
            [(0.0978, low + 0.006), (0.0992, low - 0.0012), (0.0965, low - 0.0012), (0.0965, low)], metal, sections=72
        ),
    ]
    bulb = ball_part(0.02, Material(texture=glaze((255, 240, 205)), glow=2.4)).moved(
        placement(offset=(0, 0, height * 0.8))
    )
    return foot, stem, knob, outer, inner, *trim, bulb


def alarm_clock(
    colour: Colour = (38, 150, 148), *, radius: float = 0.052, depth: float = 0.042, hour: float = 10.15, seed: int = 0
) -> Parts:
    """A round alarm clock with two bells; the dial is in front, the back is plain metal."""
    paint = Material(texture=glaze(colour, seed), gloss=0.7, shininess=55)
    steel = Material(texture=glaze((188, 190, 194), seed + 1), gloss=0.9, shininess=60)
    half = depth / 2
    bezel = [(radius - 0.007, half - 0.003), (radius - 0.005, half), (radius - 0.001, half), (radius, half - 0.004)]
    shell = lathe([*bezel, (radius, -half + 0.006), (radius - 0.006, -half), (0, -half)], paint)
    upright = placement(offset=(0, 0, radius + 0.014), tilt=90)
    angle = np.linspace(0, 2 * np.pi, 49)[None]
    reach = np.linspace(0, radius - 0.0065, 12)[:, None]
    disc = np.stack([reach * np.cos(angle), reach * np.sin(angle), np.full_like(reach * angle, half - 0.003)], -1)
    dial = sheet(disc, Material(texture=clock_dial(hour), gloss=0.25, shininess=30), telling=True)
    dial.uv[:] = 0.5 + 0.5 * dial.mesh.vertices[:, :2] * (1, -1) / (radius - 0.0065)
    parts = list(moved((shell, dial), upright))
    for side in (-1, 1):
        parts.append(tube(np.array([(side * 0.022, 0, 0.03), (side * 0.034, 0, 0.0024)]), (0.005, 0.006), paint))
        bell = lathe([(0.021 * np.sin(a), 0.017 * np.cos(a)) for a in np.linspace(0, np.pi / 2, 10)] + [(0, 0)], steel)
        parts.append(bell.moved(placement(offset=(side * 0.03, 0, 2 * radius + 0.009), roll=side * 28)))
    handle = np.array(
        [(0.019 * np.cos(a), 0, 2 * radius + 0.017 + 0.02 * np.sin(a)) for a in np.linspace(0, np.pi, 14)]
    )
    return *parts, tube(handle, 0.0028, steel, sections=8), _key(radius, half, steel)


def _key(radius: float, half: float, steel: Material) -> Part:
    return ball_part(0.008, steel, stretch=(1, 0.7, 1)).moved(placement(offset=(0, half + 0.004, radius + 0.014)))


def _aligned(point: Float[ndarray, "3"], direction: Float[ndarray, "3"]) -> Float[ndarray, "4 4"]:
    matrix = np.array(trimesh.geometry.align_vectors([0, 0, 1], direction / np.linalg.norm(direction)))
    matrix[:3, 3] = point
    return matrix
