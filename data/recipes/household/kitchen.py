"""Kitchen things: crockery, glass, pans, cutlery."""

from __future__ import annotations

import numpy as np

from data.recipes.household.palette import draw_colour, shade_of
from data.recipes.household.thing import Said, Thing, make_thing
from data.recipes.tabletop import kitchenware
from data.recipes.tabletop.kitchenware import glazed
from data.recipes.tabletop.surfaces import Material, ball_part, box, lathe, moved, placement, smooth_curve, tube
from data.recipes.tabletop.textures import Colour, gingham, glaze, wood

Rng = np.random.Generator


def seed_of(rng: Rng) -> int:
    """A seed for a texture."""
    return int(rng.integers(1 << 20))


def metal(shade: Colour = (186, 188, 192), seed: int = 0) -> Material:
    """Polished steel, or whatever the shade says."""
    return Material(texture=glaze(shade, seed), gloss=0.9, shininess=60)


def mug(rng: Rng) -> Thing:
    """A mug, plain or with two stripes."""
    name, colour = draw_colour(rng)
    features: list[tuple[str, tuple[str, ...]]] = [("handle", ("{c} mug with a handle",))]
    stripe = None
    if rng.random() < 0.5:
        stripe_name, stripe = draw_colour(rng, other_than=name)
        features.append(
            (f"stripes:{stripe_name}", (f"mug with {stripe_name} stripes", f"{{c}} mug with {stripe_name} stripes"))
        )
        features.append(("striped", ("striped mug", "striped {c} cup", "mug with stripes")))
    else:
        features.append(("plain", ("plain {c} mug", "plain mug")))
    inside = shade_of(rng, "white")
    parts = kitchenware.mug(
        colour,
        inside=inside,
        stripe=stripe,
        height=rng.uniform(0.082, 0.115),
        radius=rng.uniform(0.037, 0.047),
        seed=seed_of(rng),
    )
    said = Said(words=("mug", "cup", "coffee mug", "coffee cup"), colour=name, features=tuple(features))
    return make_thing("mug", parts, said)


def glass(rng: Rng) -> Thing:
    """A drinking tumbler, wider at its rim."""
    name, colour = draw_colour(rng)
    height, low, high = rng.uniform(0.1, 0.14), rng.uniform(0.026, 0.032), rng.uniform(0.036, 0.044)
    skin = Material(texture=glaze(colour, seed_of(rng)), gloss=0.9, shininess=90)
    inner = lathe([(0, 0.008), (low - 0.003, 0.008), (high - 0.003, height)], skin)
    outer = lathe([(high - 0.003, height), (high, height), (low, 0.0), (0, 0)], skin)
    said = Said(words=("tumbler", "beaker", "drinking glass"), colour=name, alone=("cup without a handle",))
    return make_thing("glass", (inner, outer), said)


def plate(rng: Rng, carried: str = "") -> Thing:
    """A plate with coloured rings; `carried` is what lies on it."""
    name, colour = draw_colour(rng, ("white", "yellow", "grey", "turquoise", "pink", "blue"))
    rim_name, rim = draw_colour(rng, other_than=name)
    parts = kitchenware.plate(colour, rim=rim, radius=rng.uniform(0.095, 0.125), seed=seed_of(rng))
    features: list[tuple[str, tuple[str, ...]]] = [
        (f"rings:{rim_name}", (f"{{c}} plate with {rim_name} rings", f"plate with {rim_name} rings")),
        ("ringed", ("plate with rings", "{c} plate with a coloured rim")),
    ]
    if carried:
        features.append((f"under:{carried}", (f"dish under the {carried}", f"plate under the {carried}")))
    said = Said(words=("plate", "dish"), colour=name, alone=("flat round dish",), features=tuple(features))
    return make_thing("plate", parts, said)


def bowl(rng: Rng, *, fruit: bool = False) -> Thing:
    """A wide bowl with a border of diamonds."""
    name, colour = draw_colour(rng)
    radius = rng.uniform(0.112, 0.126) if fruit else rng.uniform(0.085, 0.12)
    parts = kitchenware.bowl(
        colour,
        inside=shade_of(rng, "white"),
        accent=draw_colour(rng)[1],
        radius=radius,
        height=rng.uniform(0.06, 0.08),
        seed=seed_of(rng),
    )
    features: list[tuple[str, tuple[str, ...]]] = [
        ("diamonds", ("bowl with diamonds", "patterned bowl", "{c} bowl with diamonds", "decorated {c} bowl"))
    ]
    if fruit:
        features.append(("fruit-inside", ("fruit bowl", "bowl of fruit", "bowl under the fruit")))
    return make_thing("bowl", parts, Said(words=("bowl", "basin"), colour=name, features=tuple(features)))


def teapot(rng: Rng) -> Thing:
    """A round teapot."""
    name, colour = draw_colour(rng)
    parts = kitchenware.teapot(
        colour, accent=draw_colour(rng, other_than=name)[1], radius=rng.uniform(0.066, 0.08), seed=seed_of(rng)
    )
    said = Said(
        words=("teapot",),
        colour=name,
        shape=("pot with a spout", "pot"),
        alone=("pot for tea", "pot with a spout", "tea pot with a lid"),
    )
    return make_thing("teapot", parts, said)


def bottle(rng: Rng) -> Thing:
    """A tall bottle with a cork."""
    name, colour = draw_colour(rng, ("green", "brown", "blue", "black", "red", "turquoise", "purple"))
    parts = kitchenware.bottle(
        colour, radius=rng.uniform(0.032, 0.041), height=rng.uniform(0.24, 0.3), seed=seed_of(rng)
    )
    said = Said(
        words=("bottle",), colour=name, alone=("bottle with a cork", "wine bottle", "tall bottle", "bottle of wine")
    )
    return make_thing("bottle", parts, said)


def jar(rng: Rng) -> Thing:
    """A jam jar with a coloured lid."""
    name, colour = draw_colour(rng, ("red", "orange", "purple", "yellow", "green", "brown"))
    lid_name, lid = draw_colour(rng, other_than=name)
    radius, height = rng.uniform(0.034, 0.044), rng.uniform(0.075, 0.1)
    body = lathe(
        [(radius * 0.8, height), (radius, height * 0.86), (radius, 0.006), (radius - 0.006, 0), (0, 0)],
        glazed(colour, seed_of(rng)),
    )
    top = lathe(
        [(0, height + 0.014), (radius * 0.86, height + 0.014), (radius * 0.86, height - 0.004)],
        metal(lid, seed_of(rng)),
    )
    said = Said(
        words=("jar", "jam jar"),
        colour=name,
        alone=("jar with a lid",),
        features=((f"lid:{lid_name}", (f"jar with a {lid_name} lid",)),),
    )
    return make_thing("jar", (body, top), said)


def pan(rng: Rng) -> Thing:
    """A saucepan with a long handle."""
    name, colour = draw_colour(rng, ("black", "grey", "red", "blue", "white"))
    radius, height = rng.uniform(0.065, 0.085), rng.uniform(0.05, 0.07)
    skin, grip = metal(colour, seed_of(rng)), Material(texture=glaze((40, 38, 40)), gloss=0.3)
    inner = lathe([(0, 0.006), (radius - 0.004, 0.006), (radius - 0.003, height)], metal((120, 122, 126), seed_of(rng)))
    outer = lathe([(radius - 0.003, height), (radius, height), (radius, 0.004), (radius - 0.01, 0), (0, 0)], skin)
    path = smooth_curve(
        [(radius - 0.002, 0, height * 0.8), (radius + 0.06, 0, height), (radius + 0.13, 0, height * 1.05)]
    )
    said = Said(words=("saucepan", "pan", "cooking pot"), colour=name, alone=("pan with a long handle",))
    return make_thing("pan", (inner, outer, tube(path, 0.008, grip)), said)


def spoon(rng: Rng) -> Thing:
    """A spoon lying on its back, of steel or wood."""
    wooden = rng.random() < 0.5
    skin = (
        Material(texture=wood((196, 146, 92), (150, 102, 58), planks=1, seed=seed_of(rng)))
        if wooden
        else metal(seed=seed_of(rng))
    )
    length = rng.uniform(0.15, 0.19)
    bowl_part = ball_part(0.024, skin, stretch=(1.35, 0.95, 0.3), step=0.004).moved(
        placement(offset=(-length * 0.42, 0, 0.009))
    )
    path = smooth_curve([(-length * 0.32, 0, 0.009), (0, 0, 0.014), (length * 0.5, 0, 0.009)])
    handle = tube(path, np.linspace(0.0045, 0.0075, len(path)), skin, sections=10, flatten=0.5)
    said = Said(
        words=("spoon",),
        colour="brown" if wooden else "grey",
        features=(("wooden", ("wooden spoon", "spoon made of wood")),)
        if wooden
        else (("steel", ("metal spoon", "steel spoon")),),
    )
    return make_thing("spoon", (bowl_part, handle), said)


def fork(rng: Rng) -> Thing:
    """A fork with four tines, lying flat."""
    skin, length = metal(seed=seed_of(rng)), rng.uniform(0.15, 0.19)
    path = smooth_curve([(-length * 0.1, 0, 0.008), (length * 0.2, 0, 0.013), (length * 0.5, 0, 0.008)])
    parts: list = [tube(path, np.linspace(0.004, 0.0075, len(path)), skin, sections=10, flatten=0.5)]
    parts += moved(box((0.03, 0.03, 0.004), {"other": skin}), placement(offset=(-length * 0.18, 0, 0.006)))
    for place in np.linspace(-0.012, 0.012, 4):
        tine = np.array([(-length * 0.24, place, 0.008), (-length * 0.38, place, 0.011), (-length * 0.5, place, 0.008)])
        parts.append(tube(smooth_curve(tine, 8), 0.0028, skin, sections=8))
    return make_thing(
        "fork", tuple(parts), Said(words=("fork",), colour="grey", alone=("metal fork", "fork with four tines"))
    )


def toaster(rng: Rng) -> Thing:
    """A toaster with two slots and a lever."""
    name, colour = draw_colour(rng, ("red", "grey", "black", "turquoise", "white", "blue"))
    width, depth, height = rng.uniform(0.16, 0.19), rng.uniform(0.09, 0.11), rng.uniform(0.11, 0.13)
    skin, dark = metal(colour, seed_of(rng)), Material(texture=glaze((28, 26, 26)))
    parts: list = list(box((width, depth, height), {"other": skin}))
    for y in (-depth * 0.2, depth * 0.2):
        parts += moved(box((width * 0.78, 0.016, 0.003), {"other": dark}), placement(offset=(0, y, height - 0.001)))
    parts += moved(box((0.012, 0.02, 0.012), {"other": dark}), placement(offset=(width / 2 + 0.004, 0, height * 0.7)))
    said = Said(words=("toaster",), colour=name, alone=("box with two slots", "something to toast bread with"))
    return make_thing("toaster", tuple(parts), said)


def basket(rng: Rng) -> Thing:
    """A woven basket with a handle over its top."""
    radius, height = rng.uniform(0.07, 0.09), rng.uniform(0.06, 0.08)
    red, green, blue = (min(255, c + 60) for c in shade_of(rng, "brown"))
    weave = Material(texture=gingham((red, green, blue), (92, 60, 34), checks=14, seed=seed_of(rng)))
    outer = lathe([(radius, height), (radius * 0.8, 0), (0, 0)], weave)
    inner = lathe([(0, 0.005), (radius * 0.78, 0.005), (radius - 0.003, height)], weave)
    arch = np.array([(radius * np.cos(a), 0, height + radius * 0.9 * np.sin(a)) for a in np.linspace(0, np.pi, 20)])
    said = Said(words=("basket",), colour="brown", alone=("woven basket", "basket with a handle"))
    return make_thing("basket", (outer, inner, tube(arch, 0.006, weave, sections=10)), said)
