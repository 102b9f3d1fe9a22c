"""Things of the kitchen: crockery, fruit, food boxes. Every builder returns parts that stand on z = 0, front to -y."""

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
from data.recipes.tabletop.textures import Colour, bands, diamond_border, glaze, speckled


def mug(colour: Colour, inside: Colour = (244, 240, 230), *, radius: float = 0.042, height: float = 0.095) -> Parts:
    """A mug with a handle to the right."""
    coat = Material(texture=glaze(colour, seed=3), gloss=0.5, shininess=60)
    lining = Material(texture=glaze(inside, seed=4), gloss=0.4)
    wall = 0.004
    outer = lathe([(radius, height), (radius, 0.004), (radius - 0.004, 0.0), (0.0, 0.0)], coat)
    rim = lathe([(radius - wall, height), (radius - wall / 2, height + 0.002), (radius, height)], coat, step=0.002)
    inner = lathe([(0.0, 0.008), (radius - wall, 0.008), (radius - wall, height)], lining)
    angles = np.linspace(np.deg2rad(78), np.deg2rad(-78), 18)
    ear = np.stack([radius - 0.012 + 0.036 * np.cos(angles), 0 * angles, height * 0.5 + 0.034 * np.sin(angles)], 1)
    return outer, rim, inner, tube(ear, 0.0062, coat, sections=12)


def plate(rim: Colour = (58, 96, 168), *, radius: float = 0.13) -> Parts:
    """A flat plate with a coloured ring."""
    ground = (246, 244, 238)
    rings = bands([(0.36, ground), (0.40, rim), (0.50, ground), (0.55, rim), (1.0, ground)], seed=5)
    coat = Material(texture=rings, gloss=0.5, shininess=70)
    profile = [(0, 0.006), (0.62 * radius, 0.006), (0.74 * radius, 0.012), (radius, 0.018), (radius, 0.015)]
    return (lathe([*profile, (0.6 * radius, 0.0), (0, 0.0)], coat),)


def bowl(colour: Colour = (236, 232, 220), *, radius: float = 0.12, height: float = 0.075) -> Parts:
    """A fruit bowl with a row of diamonds below the rim."""
    turn = np.linspace(np.deg2rad(-88), 0, 16)
    curve = np.stack([radius * np.cos(turn) ** 0.8, height + height * np.sin(turn)], 1)
    inner = np.concatenate([[[0.0, 0.006]], curve * [0.95, 0.93] + [0, 0.07 * height]])
    plain = Material(texture=glaze(colour, seed=6), gloss=0.45)
    border = diamond_border(colour, (38, 100, 160), (214, 92, 52), size=(96, 512), count=22)
    band = Material(texture=border, gloss=0.45)
    upper, lower = curve[curve[:, 1] >= 0.45 * height][::-1], curve[curve[:, 1] < 0.5 * height][::-1]
    return (
        lathe(inner, plain),
        lathe([(inner[-1][0], inner[-1][1]), (radius, height)], plain, step=0.002),
        lathe(np.concatenate([upper, lower[:1]]), band),
        lathe(np.concatenate([lower, [[0.0, 0.0]]]), plain),
    )


def apple(colour: Colour, blush: Colour, *, radius: float = 0.037, seed: int = 0) -> Parts:
    """An apple with a stalk and a leaf."""
    turn = np.linspace(0, np.pi, 30)
    reach = radius * (1.0 + 0.1 * np.cos(turn)) * np.sin(turn) ** 0.82
    lift = radius * (
        0.93 * np.cos(turn) - 0.3 * np.exp(-((turn / 0.34) ** 2)) + 0.16 * np.exp(-(((np.pi - turn) / 0.3) ** 2))
    )
    skin = Material(texture=speckled(colour, blush, seed=seed), gloss=0.35, shininess=45)
    base = -lift.min()
    stalk = smooth_curve(
        [(0, 0, base + 0.52 * radius), (0.002, 0, base + radius), (0.007, 0.002, base + 1.25 * radius)], 8
    )
    bark = Material(texture=glaze((92, 62, 36), seed=2, size=32))
    leaf_path = smooth_curve(
        [(0.003, 0, base + 1.02 * radius), (0.018, 0.006, base + 1.2 * radius), (0.034, 0.01, base + 1.1 * radius)], 10
    )
    green = Material(texture=glaze((84, 148, 54), seed=7, size=32))
    leaf = tube(leaf_path, 0.009 * np.sin(np.linspace(0.25, np.pi - 0.1, 10)), green, sections=10, flatten=0.18)
    return lathe(np.stack([reach, lift + base], 1), skin), tube(stalk, 0.0016, bark, sections=8), leaf


def banana(colour: Colour = (244, 206, 62)) -> Parts:
    """A banana on its side."""
    bend = np.linspace(np.deg2rad(-62), np.deg2rad(62), 26)
    path = np.stack([0.1 * np.sin(bend), 0.1 * (1 - np.cos(bend)) - 0.03, np.full(26, 0.018)], 1)
    share = np.linspace(0, 1, 26)
    radii = 0.018 * np.clip(np.minimum((share + 0.02) * 5, (1.03 - share) * 6), 0.22, 1)
    skin = np.repeat(glaze(colour, seed=8, variation=6), 3, 0)
    skin[:8] = skin[-8:] = (96, 76, 36)
    return (tube(path, radii, Material(texture=skin, gloss=0.15), sections=14),)


def doughnut(icing: Colour = (240, 120, 178), *, radius: float = 0.034, ring: float = 0.021) -> Parts:
    """An iced doughnut with sprinkles."""
    turn = np.linspace(np.pi / 2 + np.pi, np.pi / 2 - np.pi, 40)
    profile = np.stack([radius + ring * np.cos(turn), 0.82 * ring * (1 + np.sin(turn))], 1)
    texture = faces.iced_ring((204, 154, 92), icing, lambda u: 0.52 + 0.05 * float(np.sin(2 * np.pi * 7 * u)), seed=9)
    # the icing is the upper half: roll the skin so that it spans inner to outer rim over the top
    skin = np.roll(texture, texture.shape[0] // 4, axis=0)
    return (lathe(profile, Material(texture=skin, gloss=0.25), sections=72),)


def cereal_box(colour: Colour = (247, 188, 32)) -> Parts:
    """A cereal box: the picture on the front alone, plain card on the other sides."""
    plain = Material(texture=glaze(colour, seed=11))
    card = Material(texture=faces.cardboard(seed=12))
    front = Material(texture=faces.cereal_face(colour), gloss=0.12)
    return box((0.15, 0.055, 0.215), {"front": front, "back": card, "other": plain}, telling=frozenset({"front"}))


def milk_carton(base: Colour = (44, 110, 190)) -> Parts:
    """A gable-top carton with the cow on its front."""
    width, height, gable = 0.075, 0.15, 0.035
    side = Material(texture=faces.carton_side(base), gloss=0.1)
    front = Material(texture=faces.cow_face(base), gloss=0.1)
    white = Material(texture=glaze((244, 245, 242), seed=13), gloss=0.1)
    body = box((width, width, height), {"front": front, "other": side}, telling=frozenset({"front"}))
    half = width / 2
    slopes = (
        flat((-half, 0, height + gable), (width, 0, 0), (0, -half, -gable), white),
        flat((half, 0, height + gable), (-width, 0, 0), (0, half, -gable), white),
    )
    fin = moved(box((width, 0.004, 0.018), {"other": white}), placement(offset=(0, 0, height + gable - 0.003)))
    ends = []
    for sign in (-1, 1):
        corner = (sign * half, sign * -half, height)
        ends.append(flat(corner, (0, sign * width, 0), (-sign * 0.012, 0, gable), white, step=0.012))
    return *body[:4], *slopes, *ends, *fin


def tea_tin(colour: Colour = (40, 96, 70)) -> Parts:
    """A round tin whose label covers the front 130 degrees."""
    radius, height = 0.043, 0.105
    paint = Material(texture=glaze(colour, seed=14), gloss=0.55, shininess=80)
    label = Material(texture=faces.tea_label(), gloss=0.2)
    lid = [(0, height + 0.016), (radius + 0.001, height + 0.016), (radius + 0.002, height), (radius, height)]
    wall = [(radius, height), (radius, 0.0)]
    return (
        lathe(lid, paint),
        lathe(wall, label, arc=(-65, 65), sections=30, telling=True),
        lathe(wall, paint, arc=(65, 295), sections=48),
        lathe([(radius, 0), (0, 0)], paint),
    )


def teapot(colour: Colour = (226, 120, 52)) -> Parts:
    """A round teapot: spout to the left, handle to the right."""
    coat = Material(texture=glaze(colour, seed=15), gloss=0.6, shininess=70)
    body = smooth_curve([(0.03, 0.118), (0.06, 0.1), (0.078, 0.06), (0.062, 0.018), (0.046, 0.0)], 28)
    lid = smooth_curve([(0.012, 0.134), (0.026, 0.128), (0.034, 0.117)], 10)
    spout = smooth_curve([(-0.062, 0, 0.045), (-0.098, 0, 0.062), (-0.112, 0, 0.1), (-0.132, 0, 0.118)], 20)
    ear = smooth_curve([(0.064, 0, 0.092), (0.108, 0, 0.104), (0.118, 0, 0.066), (0.072, 0, 0.034)], 22)
    return (
        lathe(np.concatenate([body, [[0, 0]]]), coat),
        lathe(np.concatenate([[[0, 0.134]], lid]), coat),
        ball_part(0.011, coat).moved(placement(offset=(0, 0, 0.142))),
        tube(spout, np.linspace(0.02, 0.009, 20), coat),
        tube(ear, 0.008, coat),
    )


def bottle(colour: Colour = (34, 110, 66)) -> Parts:
    """A tall bottle with a cork and a cream band."""
    glass = bands([(0.5, colour), (0.52, (250, 243, 224)), (0.76, (250, 243, 224)), (1.0, colour)], seed=16)
    coat = Material(texture=glass, gloss=0.7, shininess=90)
    profile = smooth_curve(
        [(0.014, 0.27), (0.014, 0.22), (0.017, 0.19), (0.037, 0.15), (0.037, 0.08), (0.037, 0.002)], 40
    )
    cork = Material(texture=faces.cardboard((190, 146, 98), seed=17))
    return (
        lathe(np.concatenate([profile, [[0, 0.0]]]), coat),
        lathe([(0, 0.288), (0.0115, 0.288), (0.0125, 0.268)], cork),
    )
