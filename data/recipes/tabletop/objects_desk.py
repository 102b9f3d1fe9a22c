"""Things of the desk and the shelf: books, frame, clock, lamp, plant, candle, toys."""

from __future__ import annotations

import numpy as np

from data.recipes.tabletop import printed_faces as faces
from data.recipes.tabletop.surfaces import (
    Material,
    Parts,
    ball_part,
    box,
    flat,
    lathe,
    moved,
    placement,
    smooth_curve,
    tube,
)
from data.recipes.tabletop.textures import Colour, beach_panels, glaze, wood, woven_shade


def _book(cover: np.ndarray, back: Colour, size: tuple[float, float, float], seed: int) -> Parts:
    front = Material(texture=cover, gloss=0.2)
    cloth = Material(texture=glaze(back, seed=seed))
    pages = Material(texture=faces.page_edges(seed=seed))
    sides = {"front": front, "back": cloth, "left": cloth, "other": pages}
    return box(size, sides, telling=frozenset({"front"}))


def fish_book() -> Parts:
    """A book standing up, a fish on its cover, its back plain."""
    return _book(faces.fish_cover(), (26, 92, 138), (0.125, 0.024, 0.175), 21)


def star_book() -> Parts:
    """A book lying down, a star on its cover."""
    standing = _book(faces.star_cover(), (122, 36, 58), (0.13, 0.028, 0.18), 22)
    return moved(standing, placement(offset=(0, 0.09, 0.014), tilt=-90))


def picture_frame() -> Parts:
    """A framed photo that leans on its foot: sea and boat in front, cardboard behind."""
    frame = Material(texture=wood((150, 98, 58), (92, 56, 30), size=(96, 96), planks=1, seed=23), gloss=0.25)
    card = Material(texture=faces.cardboard(seed=24))
    width, height, edge = 0.19, 0.145, 0.014
    plate = box((width, 0.012, height), {"back": card, "other": frame})
    photo = flat(
        (-width / 2 + edge, -0.0065, height - edge),
        (width - 2 * edge, 0, 0),
        (0, 0, -(height - 2 * edge)),
        Material(texture=faces.sea_photo(), gloss=0.15),
        telling=True,
    )
    foot = moved(box((0.04, 0.003, 0.115), {"other": card}), placement(offset=(0, 0.055, 0), tilt=24))
    return *moved((*plate, photo), placement(tilt=-10)), *foot


def alarm_clock(colour: Colour = (206, 60, 56)) -> Parts:
    """A twin-bell clock: dial in front, plain metal behind."""
    metal = Material(texture=glaze(colour, seed=25), gloss=0.6, shininess=70)
    brass = Material(texture=glaze((206, 168, 84), seed=26), gloss=0.7, shininess=80)
    radius, depth = 0.058, 0.05
    upright = placement(offset=(0, 0, radius + 0.014), tilt=90)
    shell = lathe(
        [(radius - 0.004, depth / 2), (radius, depth / 2 - 0.003), (radius, -depth / 2), (0, -depth / 2)], metal
    )
    side = 2 * (radius - 0.004)
    dial = _disc(radius - 0.004, Material(texture=faces.clock_dial(), gloss=0.25))
    drum = moved((shell,), upright)
    face = moved(dial, placement(offset=(0, -depth / 2, radius + 0.014 - side / 2)))
    bells, legs = [], []
    for sign in (-1, 1):
        bell = ball_part(0.021, brass, stretch=(1, 1, 0.75))
        bells.append(bell.moved(placement(offset=(sign * 0.033, 0, 2 * radius + 0.014), roll=sign * 25)))
        path = np.array([(sign * 0.03, 0, 0.026), (sign * 0.036, 0, 0.013), (sign * 0.042, 0, 0.0)])
        legs.append(tube(path, 0.005, brass, sections=10))
    return *drum, *face, *bells, *legs


def _disc(radius: float, material: Material) -> Parts:
    """A round piece of a square texture, facing -y, its lowest point at z = 0."""
    rings, spokes = 14, 56
    share, angle = np.linspace(0.001, 1, rings), np.linspace(0, 2 * np.pi, spokes + 1)
    x = radius * share[:, None] * np.cos(angle)
    z = radius * share[:, None] * np.sin(angle)
    from data.recipes.tabletop.surfaces import sheet

    grid = np.stack([x, np.zeros_like(x), z + radius], -1)[::-1]
    part = sheet(grid, material, telling=True)
    vertices = part.mesh.vertices
    uv = np.stack([0.5 + vertices[:, 0] / (2 * radius), 1.0 - vertices[:, 2] / (2 * radius)], 1)
    if part.mesh.face_normals[:, 1].mean() > 0:
        part.mesh.invert()
    return (type(part)(mesh=part.mesh, uv=uv, material=material, telling=True),)


def table_lamp(colour: Colour = (232, 214, 170), base: Colour = (52, 96, 112)) -> Parts:
    """A lamp with a linen shade that glows a little."""
    shade = Material(texture=woven_shade(colour, seed=27), glow=0.35)
    inside = Material(texture=glaze((250, 236, 200), seed=28), glow=0.8)
    foot = Material(texture=glaze(base, seed=29), gloss=0.6, shininess=60)
    profile = smooth_curve([(0.012, 0.2), (0.016, 0.17), (0.042, 0.1), (0.034, 0.05), (0.05, 0.012), (0.052, 0.0)], 36)
    return (
        lathe(np.concatenate([profile, [[0, 0]]]), foot),
        lathe([(0, 0.25), (0.007, 0.25), (0.007, 0.195)], foot),
        lathe([(0.062, 0.32), (0.1, 0.19)], shade),
        lathe([(0.098, 0.19), (0.06, 0.32)], inside),
        lathe([(0.0, 0.318), (0.061, 0.318)][::-1], inside),
    )


def potted_plant(pot: Colour = (196, 104, 66), *, leaves: int = 16, seed: int = 30) -> Parts:
    """A house plant with long leaves in a clay pot."""
    clay = Material(texture=glaze(pot, seed=seed))
    soil = Material(texture=glaze((70, 50, 38), seed=seed + 1, variation=12))
    rng = np.random.default_rng(seed)
    outer = lathe([(0.056, 0.1), (0.06, 0.1), (0.06, 0.082), (0.054, 0.08), (0.042, 0.0), (0, 0)], clay)
    parts = [outer, lathe([(0, 0.088), (0.057, 0.09)], soil), lathe([(0.057, 0.09), (0.056, 0.1)], clay)]
    for number in range(leaves):
        yaw, lean = 2 * np.pi * number / leaves + rng.normal(0, 0.15), rng.uniform(0.25, 1.0)
        length = rng.uniform(0.12, 0.19)
        t = np.linspace(0, 1, 14)
        reach = 0.012 + length * lean * 0.75 * t**1.4
        lift = 0.088 + length * (t - 0.45 * lean * t**2.2)
        path = np.stack([reach * np.cos(yaw), reach * np.sin(yaw), lift], 1)
        green = Material(
            texture=glaze((58 + int(rng.integers(34)), 132 + int(rng.integers(34)), 62), seed=40 + number), gloss=0.15
        )
        parts.append(tube(path, 0.0135 * np.sin(np.pi * (0.12 + 0.86 * t)), green, sections=10, flatten=0.15))
    return tuple(parts)


def candle(colour: Colour = (150, 92, 160)) -> Parts:
    """A thick candle with a lit wick, in a brass dish."""
    wax = Material(texture=glaze(colour, seed=31), gloss=0.1, glow=0.06)
    brass = Material(texture=glaze((206, 168, 84), seed=32), gloss=0.7, shininess=80)
    wick = Material(texture=glaze((40, 34, 30), seed=33, size=16))
    flame = Material(texture=glaze((255, 196, 90), seed=34, size=16), glow=1.6)
    dish = lathe([(0, 0.006), (0.046, 0.006), (0.052, 0.014), (0.054, 0.012), (0.047, 0.0), (0, 0)], brass)
    body = lathe([(0, 0.11), (0.024, 0.112), (0.028, 0.116), (0.03, 0.11), (0.03, 0.006)], wax)
    drop = smooth_curve([(0.0, 0.155), (0.004, 0.142), (0.0065, 0.13), (0.0, 0.12)], 16)
    return (
        dish,
        body,
        lathe([(0, 0.125), (0.0012, 0.125), (0.0012, 0.108)], wick, sections=8),
        lathe(drop, flame, sections=16, step=0.002),
    )


def die(colour: Colour, *, side: float = 0.046) -> Parts:
    """A large playing die."""
    order = {"front": 1, "back": 6, "left": 3, "right": 4, "top": 5, "bottom": 2}
    return box(
        (side,) * 3, {name: Material(texture=faces.die_face(count, colour), gloss=0.4) for name, count in order.items()}
    )


def beach_ball(*, radius: float = 0.075) -> Parts:
    """A ball of coloured wedges."""
    colours = [(226, 52, 44), (250, 250, 246), (36, 92, 190), (250, 204, 46), (250, 250, 246), (46, 150, 84)]
    skin = Material(texture=beach_panels(colours), gloss=0.35, shininess=50)
    return (ball_part(radius, skin).moved(placement(offset=(0, 0, radius), tilt=28, roll=16)),)
