"""Furnishings and devices: lamp, clock, plant, vase, candle, hat, umbrella, hammer, camera, laptop, phone, cone."""

from __future__ import annotations

import numpy as np

from data.recipes.household.kitchen import Rng, metal, seed_of
from data.recipes.household.palette import draw_colour, shade_of
from data.recipes.household.thing import Said, Thing, make_thing
from data.recipes.tabletop import furnishings
from data.recipes.tabletop.printed_faces import Page
from data.recipes.tabletop.surfaces import Material, ball_part, box, lathe, moved, placement, smooth_curve, tube
from data.recipes.tabletop.textures import bands, glaze, wood


def lamp(rng: Rng) -> Thing:
    """A table lamp that is on."""
    name, colour = draw_colour(rng, ("blue", "turquoise", "black", "red", "green", "grey", "brown"))
    shade = shade_of(rng, "white") if rng.random() < 0.4 else (244, 222, 178)
    parts = furnishings.table_lamp(colour, shade=shade, height=rng.uniform(0.3, 0.4), seed=seed_of(rng))
    said = Said(
        words=("table lamp", "lamp"),
        alone=("lamp with a linen shade", "lamp on a thin stem", "lamp with a shade", "desk lamp"),
        features=((f"stem:{name}", (f"lamp with a {name} stem", f"lamp with a {name} foot")),),
    )
    return make_thing("lamp", parts, said)


def clock(rng: Rng) -> Thing:
    """An alarm clock with two bells."""
    name, colour = draw_colour(rng, ("red", "turquoise", "blue", "black", "yellow", "green", "pink"))
    parts = furnishings.alarm_clock(
        colour,
        radius=rng.uniform(0.047, 0.06),
        depth=rng.uniform(0.04, 0.05),
        hour=rng.uniform(0, 12),
        seed=seed_of(rng),
    )
    said = Said(
        words=("alarm clock", "clock"),
        colour=name,
        shape=("round thing with two bells", "thing with bells"),
        alone=("twin-bell clock", "clock with two bells", "thing with two bells"),
        telling=(
            ("dial", ("clock dial", "what shows the time", "dial with numbers", "clock face", "dial with two hands")),
        ),
    )
    return make_thing("clock", parts, said)


def plant(rng: Rng) -> Thing:
    """A leafy plant in a pot."""
    clay = rng.random() < 0.5
    name, pot = ("orange", (196, 104, 66)) if clay else draw_colour(rng)
    parts = furnishings.potted_plant(
        pot, leaf=shade_of(rng, "green"), leaves=int(rng.integers(11, 19)), seed=seed_of(rng)
    )
    features = (("clay", ("plant in a clay pot",)),) if clay else ((f"pot:{name}", (f"plant in a {name} pot",)),)
    said = Said(
        words=("potted plant", "house plant"), alone=("plant with long leaves", "leafy plant"), features=features
    )
    return make_thing("plant", parts, said)


def cactus(rng: Rng) -> Thing:
    """A cactus with two arms in a pot."""
    name, pot = draw_colour(rng)
    green = Material(texture=bands([(place / 12, shade_of(rng, "green")) for place in range(1, 13)], seed_of(rng)))
    holder = lathe(
        [(0, 0.05), (0.034, 0.05), (0.04, 0.058), (0.04, 0.046), (0.03, 0), (0, 0)],
        Material(texture=glaze(pot, seed_of(rng))),
    )
    trunk = tube(
        smooth_curve([(0, 0, 0.045), (0, 0, 0.1), (0, 0, 0.15)], 16), 0.018 * np.sin(np.linspace(1.2, 3.05, 16)), green
    )
    parts = [holder, trunk]
    for side in (-1, 1):
        low = rng.uniform(0.08, 0.105)
        path = smooth_curve([(side * 0.014, 0, low), (side * 0.036, 0, low + 0.004), (side * 0.04, 0, low + 0.036)], 14)
        parts.append(tube(path, 0.009 * np.sin(np.linspace(1.2, 3.0, 14)), green, sections=12))
    said = Said(
        words=("cactus",), alone=("cactus with two arms",), features=((f"pot:{name}", (f"cactus in a {name} pot",)),)
    )
    return make_thing("cactus", tuple(parts), said)


def vase(rng: Rng) -> Thing:
    """A vase, with tulips or empty."""
    name, colour = draw_colour(rng)
    height = rng.uniform(0.13, 0.18)
    holder = furnishings.vase(colour, figure=draw_colour(rng, other_than=name)[1], height=height, seed=seed_of(rng))
    if rng.random() < 0.4:
        said = Said(
            words=("vase",),
            colour=name,
            alone=("vase with diamonds",),
            features=(("empty", ("empty vase", "vase without flowers")),),
        )
        return make_thing("vase", holder, said)
    flower_name, flower = draw_colour(rng, ("red", "yellow", "pink", "purple", "orange", "white"))
    mixed = rng.random() < 0.5
    colours = [
        draw_colour(rng, ("red", "yellow", "pink", "white"))[1] if mixed else flower
        for _ in range(int(rng.integers(4, 7)))
    ]
    flowers = furnishings.bouquet(
        colours, leaf=shade_of(rng, "green"), height=0.13, spread=rng.uniform(0.05, 0.07), seed=seed_of(rng)
    )
    features: list[tuple[str, tuple[str, ...]]] = [
        (
            "flowers",
            (
                "vase of tulips",
                "flowers in a vase",
                "bunch of tulips",
                "tulips",
                "vase with flowers",
                "bouquet of flowers",
            ),
        )
    ]
    if not mixed:
        features.append((f"flowers:{flower_name}", (f"vase of {flower_name} tulips", f"{flower_name} flowers")))
    parts = (*holder, *moved(flowers, placement(offset=(0, 0, height - 0.018))))
    return make_thing("vase", parts, Said(words=("vase",), colour=name, features=tuple(features)))


def candle(rng: Rng) -> Thing:
    """A burning candle on a dish."""
    name, wax = draw_colour(rng, ("purple", "red", "white", "green", "yellow", "pink", "blue", "orange"))
    parts = furnishings.candle(
        wax, draw_colour(rng)[1], height=rng.uniform(0.07, 0.12), radius=rng.uniform(0.02, 0.028), seed=seed_of(rng)
    )
    said = Said(words=("candle",), colour=name, alone=("burning candle", "candle with a flame", "candle on a dish"))
    return make_thing("candle", parts, said)


def hat(rng: Rng) -> Thing:
    """A hat with a brim and a ribbon."""
    name, colour = draw_colour(rng)
    ribbon_name, ribbon = draw_colour(rng, other_than=name)
    felt, band = (
        Material(texture=glaze(colour, seed_of(rng), variation=8)),
        Material(texture=glaze(ribbon, seed_of(rng))),
    )
    height = rng.uniform(0.06, 0.085)
    crown = lathe([(0, height), (0.04, height - 0.003), (0.048, height - 0.014), (0.052, 0.022)], felt)
    ring = lathe([(0.0525, 0.024), (0.0535, 0.006)], band)
    brim = lathe([(0.052, 0.006), (0.09, 0.003), (0.092, 0.001), (0, 0)], felt)
    said = Said(
        words=("hat",),
        colour=name,
        alone=("hat with a brim", "something to wear"),
        features=((f"ribbon:{ribbon_name}", (f"hat with a {ribbon_name} ribbon",)),),
    )
    return make_thing("hat", (crown, ring, brim), said)


def umbrella(rng: Rng) -> Thing:
    """An open parasol standing on its canopy's rim, handle up in the air beside it is left out: canopy, stick, hook."""
    name, colour = draw_colour(rng)
    other = shade_of(rng, "white") if rng.random() < 0.5 else colour
    radius, height = rng.uniform(0.085, 0.105), rng.uniform(0.15, 0.19)
    panels = np.zeros((32, 160, 3), np.uint8)
    for panel in range(8):
        panels[:, panel * 20 : (panel + 1) * 20] = colour if panel % 2 == 0 else other
    cloth = Material(texture=panels, gloss=0.2)
    line = [(radius * np.sin(a), height - 0.055 * (1 - np.cos(a)) / 1.0) for a in np.linspace(0.02, np.pi / 2, 14)]
    canopy = lathe(line, cloth)
    under = lathe([(r, z - 0.002) for r, z in line[::-1]], cloth)
    stick = tube(np.array([(0, 0, 0.004), (0, 0, height * 0.5), (0, 0, height + 0.012)]), 0.003, metal())
    foot = lathe([(0, 0.01), (0.03, 0.008), (0.034, 0), (0, 0)], Material(texture=glaze((90, 60, 40))))
    said = Said(words=("umbrella", "parasol"), colour=name, alone=("sunshade", "umbrella on a stand"))
    return make_thing("umbrella", (canopy, under, stick, foot), said)


def hammer(rng: Rng) -> Thing:
    """A hammer lying down."""
    length = rng.uniform(0.18, 0.22)
    grip = Material(texture=wood((200, 150, 96), (146, 100, 58), planks=1, seed=seed_of(rng)))
    handle = tube(np.array([(-length / 2, 0, 0.012), (0, 0, 0.012), (length / 2, 0, 0.012)]), 0.0095, grip)
    steel = metal((120, 122, 128), seed_of(rng))
    head = lathe(
        [(0, 0.035), (0.014, 0.035), (0.014, 0.012), (0.01, 0), (0.011, -0.02), (0.003, -0.04), (0, -0.04)],
        steel,
        sections=24,
    )
    said = Said(words=("hammer",), alone=("hammer with a wooden handle",))
    return make_thing("hammer", (handle, head.moved(placement(offset=(length / 2 - 0.012, 0, 0.014), tilt=90))), said)


def camera(rng: Rng) -> Thing:
    """A camera with a round lens in front."""
    name, colour = draw_colour(rng, ("black", "grey", "brown", "red"))
    body, dark = (
        Material(texture=glaze(colour, seed_of(rng)), gloss=0.4),
        Material(texture=glaze((26, 26, 30)), gloss=0.7),
    )
    width = rng.uniform(0.1, 0.125)
    parts: list = list(box((width, 0.04, 0.066), {"other": body}))
    parts += moved(box((width * 0.4, 0.036, 0.014), {"other": metal()}), placement(offset=(0, 0, 0.066)))
    lens = lathe([(0, 0.034), (0.016, 0.034), (0.02, 0.04), (0.025, 0.04), (0.027, 0)], dark, sections=40)
    eye = ball_part(
        0.015, Material(texture=glaze((70, 90, 140)), gloss=1.0, shininess=90), stretch=(1, 1, 0.3), step=0.003
    )
    parts += moved((lens, eye.moved(placement(offset=(0, 0, 0.034)))), placement(offset=(0, -0.018, 0.033), tilt=90))
    parts.append(
        lathe([(0, 0.008), (0.007, 0.008), (0.007, 0)], metal(), sections=20).moved(
            placement(offset=(width * 0.36, 0, 0.066))
        )
    )
    said = Said(words=("camera", "photo camera"), colour=name, alone=("something to take pictures with",), telling=())
    return make_thing("camera", tuple(parts), said)


def laptop(rng: Rng) -> Thing:
    """An open laptop with a bright screen."""
    page = Page(180, 110, (52, 54, 60))
    for row in range(4):
        for column in range(11):
            x, y = 0.06 + 0.081 * column, 0.1 + 0.15 * row
            page.polygon([(x, y), (x + 0.065, y), (x + 0.065, y + 0.11), (x, y + 0.11)], (22, 22, 26))
    page.polygon([(0.36, 0.74), (0.64, 0.74), (0.64, 0.95), (0.36, 0.95)], (86, 88, 94))
    screen = Page(180, 110, (40, 90, 170))
    screen.polygon([(0.06, 0.1), (0.6, 0.1), (0.6, 0.8), (0.06, 0.8)], (244, 246, 250))
    for row in range(5):
        screen.line([(0.1, 0.22 + 0.11 * row), (0.52, 0.22 + 0.11 * row)], (120, 130, 150), 0.012)
    name, colour = draw_colour(rng, ("grey", "black", "white"))
    shell = metal(colour, seed_of(rng))
    base = box((0.2, 0.135, 0.012), {"top": Material(texture=page.picture()), "other": shell})
    lid = box((0.2, 0.008, 0.13), {"front": Material(texture=screen.picture(), glow=0.35), "other": shell})
    parts = (*base, *moved(lid, placement(offset=(0, 0.068, 0.01), tilt=-rng.uniform(8, 25))))
    return make_thing(
        "laptop",
        parts,
        Said(words=("laptop", "notebook computer", "computer"), colour=name, alone=("computer with a keyboard",)),
    )


def phone(rng: Rng) -> Thing:
    """A mobile phone lying with its screen up."""
    page = Page(70, 140, (24, 26, 34))
    page.polygon([(0.06, 0.05), (0.94, 0.05), (0.94, 0.95), (0.06, 0.95)], draw_colour(rng)[1])
    for row in range(4):
        for column in range(3):
            page.disc((0.24 + 0.26 * column, 0.25 + 0.15 * row), 0.08, draw_colour(rng)[1])
    parts = box(
        (0.072, 0.148, 0.009),
        {"top": Material(texture=page.picture(), gloss=0.8, glow=0.15), "other": metal((40, 40, 44))},
    )
    return make_thing(
        "phone", parts, Said(words=("phone", "mobile phone", "smartphone"), alone=("phone with a screen",))
    )


def cone(rng: Rng) -> Thing:
    """A small traffic cone with a white band."""
    skin = bands(
        [(0.35, shade_of(rng, "orange")), (0.6, shade_of(rng, "white")), (1.0, shade_of(rng, "orange"))], seed_of(rng)
    )
    height = rng.uniform(0.09, 0.13)
    body = lathe([(0.004, height), (0.035, 0.006)], Material(texture=skin, gloss=0.3))
    foot = box((0.09, 0.09, 0.007), {"other": Material(texture=glaze(shade_of(rng, "orange"), seed_of(rng)))})
    said = Said(words=("traffic cone", "cone"), alone=("orange cone with a white band", "orange cone"))
    return make_thing("cone", (body, *foot), said)
