"""Crockery and glass: mug, teapot, bowl, plate, bottle.

Every builder takes colours and sizes in metres, stands on z = 0 about the z axis and returns its parts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.recipes.tabletop.printed_faces import cardboard
from data.recipes.tabletop.surfaces import Material, Parts, ball_part, lathe, placement, smooth_curve, tube
from data.recipes.tabletop.textures import Colour, bands, diamond_border, glaze

_CREAM: Colour = (243, 234, 214)


def glazed(colour: Colour, seed: int = 0) -> Material:
    """Plain glazed pottery."""
    return Material(texture=glaze(colour, seed), gloss=0.8, shininess=70)


def mug(
    colour: Colour,
    *,
    inside: Colour = _CREAM,
    stripe: Colour | None = None,
    height: float = 0.098,
    radius: float = 0.042,
    seed: int = 0,
) -> Parts:
    """A straight mug with its handle at +x; `stripe` adds two bands around it."""
    wall, base = 0.004, 0.006
    inner = radius - wall
    lining = lathe(
        [(0, base), (inner - 0.008, base), (inner, base + 0.008), (inner, height - 0.002)], glazed(inside, seed)
    )
    skin = glazed(colour, seed + 1)
    if stripe is not None:
        rows = [(0.22, colour), (0.36, stripe), (0.46, colour), (0.60, stripe), (1.0, colour)]
        skin = replace(skin, texture=bands(rows, seed))
    rim = [(inner, height - 0.002), (inner + 0.001, height), (radius - 0.001, height), (radius, height - 0.002)]
    outer = lathe([*rim, (radius, 0.006), (radius - 0.005, 0), (0, 0)], skin)
    ear = [(-0.003, 0.8), (0.024, 0.78), (0.033, 0.5), (0.022, 0.24), (-0.003, 0.2)]
    bend = smooth_curve([(radius + reach, 0, share * height) for reach, share in ear])
    return lining, outer, tube(bend, 0.0062, glazed(colour, seed + 1))


def teapot(colour: Colour, *, accent: Colour = (224, 176, 84), radius: float = 0.075, seed: int = 0) -> Parts:
    """A round teapot: spout at -x, handle at +x, lid with an accent knob."""
    turn = np.linspace(0.42, 2.75, 24)
    belly = np.stack([radius * np.sin(turn), 0.074 + 0.88 * radius * np.cos(turn)], 1)
    bottom = belly[-1, 1]
    belly[:, 1] -= bottom
    skin = glazed(colour, seed)
    body = lathe([*map(tuple, belly), (0, 0)], skin)
    top = float(belly[0, 1])
    lid_turn = np.linspace(0, np.pi / 2, 9)
    lid = lathe([(0.036 * np.sin(a), top - 0.003 + 0.02 * np.cos(a)) for a in lid_turn] + [(0.036, top - 0.006)], skin)
    ring = lathe([(0.030, top + 0.008), (0.0345, top + 0.006), (0.038, top - 0.003)], glazed(accent, seed + 2))
    knob = ball_part(0.012, glazed(accent, seed + 1)).moved(placement(offset=(0, 0, top + 0.026)))
    spout = smooth_curve(
        [
            (-radius * 0.75, 0, 0.035),
            (-radius - 0.022, 0, 0.055),
            (-radius - 0.04, 0, 0.092),
            (-radius - 0.062, 0, 0.108),
        ]
    )
    handle = smooth_curve(
        [
            (radius * 0.86, 0, 0.1),
            (radius + 0.035, 0, 0.108),
            (radius + 0.052, 0, 0.07),
            (radius + 0.03, 0, 0.036),
            (radius * 0.93, 0, 0.04),
        ]
    )
    mouth = Material(texture=glaze((60, 44, 34), seed))
    plug = lathe([(0, 0), (0.0085, 0)], mouth).moved(placement(offset=spout[-2], roll=-62))
    spout_part = tube(spout, np.linspace(0.02, 0.0095, len(spout)), skin)
    return body, lid, ring, knob, spout_part, plug, tube(handle, 0.0075, skin)


def bowl(
    colour: Colour,
    *,
    inside: Colour = _CREAM,
    accent: Colour = (222, 92, 56),
    radius: float = 0.12,
    height: float = 0.075,
    seed: int = 0,
) -> Parts:
    """A wide bowl on a foot with a border of diamonds around the outside."""
    turn = np.linspace(np.deg2rad(-84), 0, 20)
    outer = np.stack([radius * np.cos(turn) ** 0.75, height * (1.03 + np.sin(turn)) / 1.03], 1)
    outer[:, 1] += (1 - outer[:, 1] / height) * 0.006
    lining_line = outer * (0.955, 1.0) + (0, 0.005)
    lining_line[-1, 1] = height
    lining = lathe([(0, lining_line[0, 1]), *map(tuple, lining_line)], glazed(inside, seed))
    border = diamond_border(inside, colour, accent, size=(46, 640), count=22)
    foot_colour = np.broadcast_to(np.array(inside, np.uint8), (100, 640, 3))
    texture = np.concatenate([np.broadcast_to(np.array(colour, np.uint8), (8, 640, 3)), border, foot_colour])
    skin = Material(texture=texture, gloss=0.8, shininess=70)
    foot = [(float(outer[0, 0]), 0.0), (0.0, 0.0)]
    rim = (float(lining_line[-1, 0]), height)
    return lining, lathe([rim, *map(tuple, outer[::-1]), *foot], skin, sections=96)


def plate(colour: Colour, *, rim: Colour, radius: float = 0.115, seed: int = 0) -> Parts:
    """A flat plate with a coloured rim."""
    upper = [(0, 0.006), (0.6 * radius, 0.006), (0.68 * radius, 0.011), (radius, 0.018)]
    lower = [(radius, 0.015), (0.62 * radius, 0.0), (0, 0)]
    texture = bands([(0.74, colour), (0.8, rim), (0.84, colour), (0.95, rim), (1.0, colour)], seed, size=(256, 32))
    top = lathe(upper, Material(texture=texture, gloss=0.8, shininess=70), sections=80)
    return top, lathe([upper[-1], *lower], glazed(colour, seed), sections=80)


def bottle(
    colour: Colour, *, label: Colour = (250, 243, 224), radius: float = 0.037, height: float = 0.27, seed: int = 0
) -> Parts:
    """A tall bottle with a blank band of paper around it and a cork."""
    rows = [(0.5, colour), (0.52, label), (0.76, label), (1.0, colour)]
    glass = Material(texture=bands(rows, seed), gloss=0.8, shininess=90)
    line = [
        (0.014, 1.0),
        (0.014, 0.82),
        (0.017, 0.7),
        (radius, 0.56),
        (radius, 0.3),
        (radius, 0.02),
    ]
    profile = smooth_curve([(reach, share * height) for reach, share in line], 44)
    mouth = lathe(
        [(0.0125, height), (0.0155, height - 0.002), (0.0155, height - 0.012), (0.014, height - 0.014)], glass
    )
    cork = Material(texture=cardboard((190, 146, 98), seed))
    stopper = lathe([(0, height + 0.018), (0.0115, height + 0.018), (0.0125, height)], cork)
    base = [(radius, 0.004), (radius - 0.004, 0.0), (0.0, 0.0)]
    return lathe([*map(tuple, profile), *base], glass), mouth, stopper
