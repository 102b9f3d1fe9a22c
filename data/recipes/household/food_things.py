"""Food: fruit, cakes and the like."""

from __future__ import annotations

import numpy as np

from data.recipes.household.kitchen import Rng, seed_of
from data.recipes.household.palette import blended, draw_colour, shade_of
from data.recipes.household.thing import Said, Thing, make_thing
from data.recipes.tabletop import food
from data.recipes.tabletop.printed_faces import Page
from data.recipes.tabletop.surfaces import Material, ball_part, lathe, placement, smooth_curve, tube
from data.recipes.tabletop.textures import glaze, speckled


def apple(rng: Rng) -> Thing:
    """An apple with a blush."""
    name, colour = draw_colour(rng, ("red", "green", "yellow"))
    blush = shade_of(rng, {"red": "red", "green": "yellow", "yellow": "orange"}[name])
    mixed = blended(colour, blush, 0.4)
    parts = food.apple(colour, blush=mixed, radius=rng.uniform(0.035, 0.043), seed=seed_of(rng))
    return make_thing(
        "apple",
        parts,
        Said(words=("apple",), colour=name, shape=("fruit", "round fruit"), alone=("apple with a stem",)),
    )


def banana(rng: Rng) -> Thing:
    """A ripe banana, now and then a green one."""
    name = "yellow" if rng.random() < 0.8 else "green"
    colour = shade_of(rng, name)
    parts = food.banana(colour, length=rng.uniform(0.165, 0.2), thickness=rng.uniform(0.017, 0.021), seed=seed_of(rng))
    return make_thing(
        "banana", parts, Said(words=("banana",), colour=name, shape=("fruit", "curved fruit"), alone=("curved fruit",))
    )


def orange(rng: Rng) -> Thing:
    """An orange with pores and a green navel."""
    radius = rng.uniform(0.034, 0.042)
    peel = Material(
        texture=speckled(shade_of(rng, "orange"), (244, 150, 50), seed=seed_of(rng)), gloss=0.35, shininess=25
    )
    body = ball_part(radius, peel, stretch=(1, 1, 0.95), step=0.004).moved(placement(offset=(0, 0, radius * 0.95)))
    navel = ball_part(0.005, Material(texture=glaze((76, 110, 48))), stretch=(1, 1, 0.5), step=0.002)
    parts = (body, navel.moved(placement(offset=(0, 0, radius * 1.9))))
    said = Said(words=("orange", "mandarin"), alone=("orange fruit", "round orange fruit", "citrus fruit"))
    return make_thing("orange", parts, said)


def lemon(rng: Rng) -> Thing:
    """A lemon lying on its side."""
    radius = rng.uniform(0.026, 0.032)
    peel = Material(texture=speckled(shade_of(rng, "yellow"), (250, 224, 90), seed=seed_of(rng)), gloss=0.35)
    turn = np.linspace(0, np.pi, 40)
    reach = radius * np.sin(turn) ** 0.9
    height = radius * (1.25 * np.cos(turn) + 0.28 * np.cos(turn) ** 9)
    body = lathe(np.stack([reach, height], 1), peel, sections=40).moved(placement(offset=(0, 0, radius), tilt=90))
    return make_thing(
        "lemon",
        (body,),
        Said(words=("lemon",), colour="yellow", shape=("fruit",), alone=("sour fruit", "citrus fruit")),
    )


def pear(rng: Rng) -> Thing:
    """A pear standing upright."""
    name, colour = draw_colour(rng, ("green", "yellow"))
    size = rng.uniform(0.9, 1.1)
    line = smooth_curve(
        [(0.001, 0.1), (0.012, 0.096), (0.018, 0.075), (0.033, 0.045), (0.034, 0.022), (0.018, 0.002), (0.0, 0.001)], 36
    )
    line = np.maximum(line, 0.0) * size
    body = lathe(
        line, Material(texture=speckled(colour, shade_of(rng, "yellow"), seed=seed_of(rng)), gloss=0.4), sections=40
    )
    stem = tube(
        smooth_curve([(0, 0, 0.098 * size), (0.003, 0, 0.12 * size)], 6),
        0.002,
        Material(texture=glaze((88, 58, 34))),
        sections=8,
    )
    return make_thing(
        "pear", (body, stem), Said(words=("pear",), colour=name, shape=("fruit",), alone=("pear with a stem",))
    )


def tomato(rng: Rng) -> Thing:
    """A red tomato with a green star of leaves."""
    radius = rng.uniform(0.03, 0.038)
    skin = Material(texture=glaze(shade_of(rng, "red"), seed_of(rng)), gloss=0.8, shininess=50)
    parts = [ball_part(radius, skin, stretch=(1, 1, 0.8), step=0.004).moved(placement(offset=(0, 0, radius * 0.8)))]
    green = Material(texture=glaze((60, 120, 50)))
    for turn in np.linspace(0, 2 * np.pi, 6)[:-1]:
        tip = np.array([0.02 * np.cos(turn), 0.02 * np.sin(turn), radius * 1.55])
        path = smooth_curve([(0, 0, radius * 1.62), tip * (0.5, 0.5, 1) + (0, 0, 0.003), tip], 8)
        parts.append(tube(path, 0.004 * np.sin(np.linspace(0.4, 3.0, 8)), green, sections=8, flatten=0.4))
    return make_thing(
        "tomato", tuple(parts), Said(words=("tomato",), colour="red", alone=("red vegetable", "ripe tomato"))
    )


def egg(rng: Rng) -> Thing:
    """An egg lying on its side."""
    name, colour = draw_colour(rng, ("white", "brown"))
    shell = Material(texture=speckled(colour, blended(colour, (0, 0, 0), 0.04), seed=seed_of(rng)), gloss=0.15)
    turn, radius = np.linspace(0, np.pi, 36), rng.uniform(0.021, 0.025)
    reach = radius * np.sin(turn) * (1 + 0.16 * np.cos(turn))
    body = lathe(np.stack([reach, 1.3 * radius * np.cos(turn)], 1), shell, sections=36)
    return make_thing(
        "egg",
        (body.moved(placement(offset=(0, 0, radius), tilt=90)),),
        Said(words=("egg",), colour=name, alone=("hen's egg",)),
    )


def doughnut(rng: Rng) -> Thing:
    """A ring doughnut with icing and sprinkles."""
    name, icing = draw_colour(rng, ("pink", "brown", "white", "blue", "yellow", "purple"))
    parts = food.doughnut(
        icing, radius=rng.uniform(0.032, 0.039), thickness=rng.uniform(0.018, 0.022), seed=seed_of(rng)
    )
    features = (
        (
            "sprinkles",
            ("doughnut with sprinkles", "{c} pastry with sprinkles", "iced doughnut", "doughnut with {c} icing"),
        ),
    )
    said = Said(
        words=("doughnut", "donut"),
        colour=name,
        shape=("pastry", "ring"),
        alone=("ring with a hole",),
        features=features,
    )
    return make_thing("doughnut", parts, said)


def cupcake(rng: Rng) -> Thing:
    """A cupcake in a paper case with a swirl of icing and a cherry."""
    name, icing = draw_colour(rng, ("pink", "white", "brown", "turquoise", "yellow", "purple"))
    _, paper = draw_colour(rng)
    case = lathe([(0.034, 0.04), (0.025, 0.0), (0, 0)], Material(texture=glaze(paper, seed_of(rng))), sections=48)
    turns = np.linspace(0, 3 * 2 * np.pi, 70)
    reach = np.linspace(0.024, 0.004, 70)
    path = np.stack([reach * np.cos(turns), reach * np.sin(turns), np.linspace(0.044, 0.075, 70)], 1)
    cream = Material(texture=glaze(icing, seed_of(rng)), gloss=0.3)
    top = lathe([(0, 0.05), (0.03, 0.046), (0.034, 0.038)], cream, sections=48)
    cherry = ball_part(0.009, Material(texture=glaze((196, 30, 44)), gloss=0.8), step=0.003).moved(
        placement(offset=(0, 0, 0.084))
    )
    said = Said(
        words=("cupcake", "muffin"),
        colour=name,
        features=(("cherry", ("cupcake with a cherry", "cake with a cherry on top", "cupcake with {c} icing")),),
    )
    return make_thing("cupcake", (case, top, tube(path, 0.009, cream, sections=10), cherry), said)


def pizza(rng: Rng) -> Thing:
    """A pizza with slices of salami."""
    page = Page(160, 160, (206, 150, 84))
    page.disc((0.5, 0.5), 0.44, (196, 60, 36))
    page.disc((0.5, 0.5), 0.41, (242, 206, 110))
    for _ in range(int(rng.integers(8, 14))):
        angle, reach = rng.uniform(0, 2 * np.pi), 0.34 * np.sqrt(rng.uniform(0.02, 1))
        page.disc((0.5 + reach * np.cos(angle), 0.5 + reach * np.sin(angle)), 0.06, (178, 46, 36))
    for _ in range(10):
        angle, reach = rng.uniform(0, 2 * np.pi), 0.36 * np.sqrt(rng.uniform(0.02, 1))
        page.disc((0.5 + reach * np.cos(angle), 0.5 + reach * np.sin(angle)), 0.02, (70, 120, 50))
    radius = rng.uniform(0.1, 0.13)
    top = lathe([(0, 0.012), (radius * 0.9, 0.012), (radius, 0.016)], Material(texture=page.picture()), sections=64)
    top.uv[:] = 0.5 + 0.5 * top.mesh.vertices[:, :2] * (1, -1) / radius
    side = lathe(
        [(radius, 0.016), (radius, 0.002), (0, 0)], Material(texture=glaze((206, 150, 84), seed_of(rng))), sections=64
    )
    return make_thing(
        "pizza", (top, side), Said(words=("pizza",), alone=("pizza with salami", "round flat bread with cheese"))
    )


def mushroom(rng: Rng) -> Thing:
    """A toadstool: a spotted cap on a white stem."""
    name, colour = draw_colour(rng, ("red", "brown"))
    stem = lathe(
        [(0.014, 0.055), (0.012, 0.03), (0.02, 0.0), (0, 0)],
        Material(texture=glaze((240, 232, 214), seed_of(rng))),
        sections=32,
    )
    cap_skin = Material(texture=glaze(colour, seed_of(rng)), gloss=0.5)
    cap = lathe(
        [(0.044 * np.sin(a), 0.05 + 0.034 * np.cos(a)) for a in np.linspace(0, np.pi / 2, 12)] + [(0.014, 0.048)],
        cap_skin,
        sections=48,
    )
    parts = [stem, cap]
    spot = Material(texture=glaze((250, 246, 236)))
    for _ in range(9):
        yaw, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1.25)
        place = (0.043 * np.sin(lean) * np.cos(yaw), 0.043 * np.sin(lean) * np.sin(yaw), 0.05 + 0.033 * np.cos(lean))
        parts.append(ball_part(0.006, spot, step=0.003).moved(placement(offset=place)))
    return make_thing(
        "mushroom",
        tuple(parts),
        Said(words=("mushroom", "toadstool"), colour=name, alone=("mushroom with white dots",)),
    )
