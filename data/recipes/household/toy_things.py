"""Toys: duck, ball, dice, blocks, car, robot, snowman."""

from __future__ import annotations

import numpy as np

from data.recipes.household.kitchen import Rng, seed_of
from data.recipes.household.palette import NAMED, draw_colour, shade_of
from data.recipes.household.thing import Said, Thing, make_thing
from data.recipes.tabletop import toys
from data.recipes.tabletop.surfaces import Material, ball_part, box, lathe, moved, placement, smooth_curve, tube
from data.recipes.tabletop.textures import glaze


def duck(rng: Rng) -> Thing:
    """A rubber duck, mostly yellow."""
    name = "yellow" if rng.random() < 0.6 else draw_colour(rng, ("pink", "blue", "white", "green", "red"))[0]
    parts = toys.rubber_duck(
        shade_of(rng, name), beak=shade_of(rng, "orange"), scale=rng.uniform(0.85, 1.15), seed=seed_of(rng)
    )
    said = Said(
        words=("rubber duck", "duck"),
        colour=name,
        shape=("bird",),
        alone=("bath toy", "toy duck", "toy bird with a beak"),
    )
    return make_thing("duck", parts, said)


def ball(rng: Rng) -> Thing:
    """A beach ball of coloured wedges."""
    names = list(rng.permutation([name for name in NAMED if name != "white"])[:4])
    palette = [shade_of(rng, str(name)) for name in names]
    if rng.random() < 0.6:
        palette = [colour for pair in zip(palette, [shade_of(rng, "white")] * 4, strict=True) for colour in pair]
    parts = toys.beach_ball(palette, radius=rng.uniform(0.05, 0.075), tilt=rng.uniform(5, 50))
    said = Said(
        words=("beach ball", "ball"),
        alone=("colourful ball", "ball with wedges", "ball of many colours", "round colourful toy"),
    )
    return make_thing("ball", parts, said)


def die(rng: Rng) -> Thing:
    """A die with white pips."""
    name, colour = draw_colour(rng, ("red", "blue", "green", "black", "purple", "orange", "turquoise", "brown"))
    parts = toys.die(colour, size=rng.uniform(0.04, 0.055))
    said = Said(
        words=("die", "dice"),
        colour=name,
        shape=("cube with dots", "cube with white dots"),
        alone=("cube with dots", "cube with numbers of dots"),
    )
    return make_thing("die", parts, said)


def block(rng: Rng) -> Thing:
    """A plain wooden building block: a cube or an arch-less brick."""
    name, colour = draw_colour(rng)
    size = (rng.uniform(0.04, 0.07), rng.uniform(0.04, 0.06), rng.uniform(0.035, 0.06))
    parts = box(size, {"other": Material(texture=glaze(colour, seed_of(rng), variation=7), gloss=0.15)})
    said = Said(
        words=("building block", "toy block", "block"),
        colour=name,
        shape=("plain cube", "brick"),
        alone=("cube without dots",),
    )
    return make_thing("block", parts, said)


def toy_car(rng: Rng) -> Thing:
    """A toy car with a cabin and four wheels."""
    name, colour = draw_colour(rng)
    paint, pane = (
        Material(texture=glaze(colour, seed_of(rng)), gloss=0.8),
        Material(texture=glaze((150, 190, 216)), gloss=0.9),
    )
    tyre, hub = Material(texture=glaze((34, 32, 34))), Material(texture=glaze((196, 196, 200)), gloss=0.6)
    length = rng.uniform(0.11, 0.14)
    parts: list = list(moved(box((length, 0.055, 0.028), {"other": paint}), placement(offset=(0, 0, 0.014))))
    parts += moved(
        box((length * 0.5, 0.048, 0.024), {"other": pane, "top": paint}), placement(offset=(-0.006, 0, 0.042))
    )
    for x in (-0.3 * length, 0.3 * length):
        for y in (-0.03, 0.03):
            wheel = lathe([(0, 0.006), (0.0165, 0.006), (0.0165, -0.006), (0, -0.006)], tyre, sections=32)
            cap = lathe([(0, 0.0075), (0.008, 0.0068)], hub, sections=20)
            parts += moved((wheel, cap), placement(offset=(x, y, 0.0165), tilt=90 if y < 0 else -90))
    said = Said(
        words=("toy car", "car"), colour=name, shape=("vehicle",), alone=("vehicle with four wheels", "small car")
    )
    return make_thing("car", tuple(parts), said)


def robot(rng: Rng) -> Thing:
    """A toy robot of boxes with an antenna."""
    name, colour = draw_colour(rng, ("grey", "blue", "red", "turquoise", "orange"))
    skin, dark = (
        Material(texture=glaze(colour, seed_of(rng)), gloss=0.7),
        Material(texture=glaze((50, 50, 56)), gloss=0.5),
    )
    glow = Material(texture=glaze((250, 230, 120)), glow=0.6)
    parts: list = []
    for x in (-0.018, 0.018):
        parts += moved(box((0.022, 0.026, 0.04), {"other": dark}), placement(offset=(x, 0, 0)))
        parts.append(ball_part(0.0055, glow, step=0.002).moved(placement(offset=(x * 0.65, -0.0225, 0.115))))
    parts += moved(box((0.066, 0.044, 0.058), {"other": skin}), placement(offset=(0, 0, 0.04)))
    parts += moved(box((0.048, 0.04, 0.036), {"other": skin}), placement(offset=(0, 0, 0.1)))
    for x in (-0.042, 0.042):
        parts += moved(box((0.016, 0.02, 0.05), {"other": dark}), placement(offset=(x, 0, 0.045)))
    parts.append(tube(np.array([(0, 0, 0.136), (0, 0, 0.158)]), 0.002, dark, sections=8))
    parts.append(ball_part(0.006, glow, step=0.002).moved(placement(offset=(0, 0, 0.16))))
    return make_thing(
        "robot",
        tuple(parts),
        Said(words=("robot", "toy robot"), colour=name, alone=("robot with an antenna", "machine with a face")),
    )


def snowman(rng: Rng) -> Thing:
    """A snowman figure with a carrot nose and a hat."""
    snow, coal = Material(texture=glaze((246, 248, 250), seed_of(rng))), Material(texture=glaze((30, 28, 30)))
    parts: list = []
    for radius, height in ((0.036, 0.032), (0.028, 0.082), (0.02, 0.12)):
        parts.append(ball_part(radius, snow, step=0.004).moved(placement(offset=(0, 0, height))))
    carrot = smooth_curve([(0, -0.017, 0.12), (0, -0.042, 0.118)], 8)
    parts.append(tube(carrot, np.linspace(0.005, 0.0006, 8), Material(texture=glaze((236, 120, 40))), sections=10))
    for x in (-0.008, 0.008):
        parts.append(ball_part(0.003, coal, step=0.002).moved(placement(offset=(x, -0.0175, 0.128))))
    brim = lathe([(0, 0.139), (0.024, 0.139), (0.024, 0.136), (0, 0.136)], coal, sections=32)
    crown = lathe([(0, 0.162), (0.015, 0.162), (0.015, 0.138)], coal, sections=32)
    return make_thing(
        "snowman",
        (*parts, brim, crown),
        Said(words=("snowman",), alone=("figure made of snow", "man with a carrot nose")),
    )
