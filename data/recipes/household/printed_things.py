"""Things with a picture on one side: boxes, cartons, books, tins, framed photos."""

from __future__ import annotations

from data.recipes.household.kitchen import Rng, seed_of
from data.recipes.household.palette import draw_colour, shade_of
from data.recipes.household.prints import FIGURES, printed_picture
from data.recipes.household.thing import Said, Thing, make_thing
from data.recipes.tabletop import packages
from data.recipes.tabletop.printed_faces import cereal_face
from data.recipes.tabletop.surfaces import moved, placement
from data.recipes.tabletop.textures import Colour

PRINTED = ("printed", ("something with a printed picture", "something with a picture on it"))
_TITLES = ("STORY", "TALES", "HELLO", "WORLD", "ATLAS", "GUIDE", "HAPPY", "DREAM")
_DRINKS = ("FRESH", "MILK", "PURE", "DAILY", "BEST")
_BRANDS = ("CRUNCHY", "FLAKES", "LOOPS", "MORNING", "GOLDEN", "HONEY")


def _figure(rng: Rng, names: tuple[str, ...] = tuple(FIGURES)) -> str:
    return names[int(rng.integers(len(names)))]


def _pictures(figure: str) -> tuple[str, ...]:
    """What is said of a printed figure."""
    called = FIGURES[figure][1]
    return (*(f"picture of a {name}" for name in called[:2]), *called[1:])


def book(rng: Rng) -> Thing:
    """A book with a figure on its cover, standing or lying."""
    figure = _figure(rng)
    name, ground = draw_colour(rng)
    title = _TITLES[int(rng.integers(len(_TITLES)))]
    cover = printed_picture(
        figure,
        (160, 220),
        ground,
        rng,
        title=title,
        letters=shade_of(rng, "black" if name in ("white", "yellow") else "white"),
    )
    size = (rng.uniform(0.12, 0.145), rng.uniform(0.022, 0.034), rng.uniform(0.165, 0.2))
    parts = packages.book(cover, cloth=ground, size=size, seed=seed_of(rng))
    lying = rng.random() < 0.4
    if lying:
        parts = moved(parts, placement(offset=(0, size[2] / 2, size[1] / 2), tilt=-90))
        features = (("lying", ("book lying flat", "lying {c} book", "lying book")),)
    else:
        features = (("standing", ("standing {c} book", "upright book", "standing book")),)
    called = FIGURES[figure][1][0]
    telling = (
        (f"figure:{figure}", (f"book with a {called} on the cover", f"{called} on a book", *_pictures(figure))),
        PRINTED,
    )
    said = Said(
        words=("book",),
        colour=name,
        features=features,
        telling=telling,
        told_names=(f"{figure} book", f"book about a {called}"),
    )
    return make_thing("book", parts, said)


def printed_box(rng: Rng) -> Thing:
    """A cardboard box with a picture in front: cereal, or a figure."""
    size = (rng.uniform(0.12, 0.16), rng.uniform(0.042, 0.06), rng.uniform(0.17, 0.22))
    red, green, blue = (int(c * rng.uniform(0.9, 1.08)) for c in (176, 136, 92))
    board: Colour = (red, green, blue)
    alone = ("cardboard box", "tall rectangular box", "carton box of brown board")
    if rng.random() < 0.5:
        _, ground = draw_colour(rng, ("yellow", "orange", "blue", "green", "red", "turquoise"))
        face = cereal_face(ground, _BRANDS[int(rng.integers(len(_BRANDS)))], seed_of(rng))
        telling = (
            ("cereal", ("cereal", "box with a bowl of cereal on it", "breakfast cereal", "box of cereal")),
            PRINTED,
        )
        names: tuple[str, ...] = ("cereal box", "box of breakfast cereal")
    else:
        figure = _figure(rng)
        called = FIGURES[figure][1][0]
        _, ground = draw_colour(rng)
        face = printed_picture(figure, (190, 270), ground, rng, title=_BRANDS[int(rng.integers(len(_BRANDS)))])
        telling = ((f"figure:{figure}", (f"box with a {called} on it", *_pictures(figure))), PRINTED)
        names = (f"{figure} box",)
    parts = packages.printed_box(face, size=size, board=board, seed=seed_of(rng))
    return make_thing("box", parts, Said(words=("box",), alone=alone, telling=telling, told_names=names))


def carton(rng: Rng) -> Thing:
    """A drink carton with a folded top: milk with a cow, or juice with a figure."""
    name, band = draw_colour(rng, ("blue", "green", "red", "orange", "purple", "turquoise"))
    milk = rng.random() < 0.6
    figure = "cow" if milk else _figure(rng, ("sun", "tree", "flower", "bird", "heart"))
    called = FIGURES[figure][1][0]
    word = _DRINKS[int(rng.integers(len(_DRINKS)))]
    face = printed_picture(figure, (150, 270), (246, 247, 244), rng, title=word, letters=band, base=band)
    parts = packages.gable_carton(
        face, band=band, width=rng.uniform(0.07, 0.085), height=rng.uniform(0.15, 0.2), seed=seed_of(rng)
    )
    told = ("milk", "carton of milk") if milk else ("juice", "carton of juice")
    telling = ((f"figure:{figure}", (*told, f"carton with a {called} on it", *_pictures(figure))), PRINTED)
    features = (
        (f"base:{name}", (f"white and {name} carton", f"carton with a {name} base", f"{name} and white carton")),
    )
    names = ("milk carton",) if milk else (f"{figure} carton",)
    said = Said(
        words=("carton", "drink carton"),
        alone=("carton with a folded top",),
        features=features,
        telling=telling,
        told_names=names,
    )
    return make_thing("carton", parts, said)


def tin(rng: Rng) -> Thing:
    """A round tin with a brass lid and a tea label in front."""
    name, colour = draw_colour(rng, ("green", "red", "blue", "black", "purple", "turquoise"))
    parts = packages.tea_tin(
        colour, rim=(196, 156, 72), radius=rng.uniform(0.036, 0.047), height=rng.uniform(0.1, 0.135), seed=seed_of(rng)
    )
    telling = (
        ("tea-label", ("tin of tea", "tin with leaves on its label", "tea", "label with two leaves")),
        ("printed", ("something with a printed picture",)),
    )
    said = Said(
        words=("tin",),
        colour=name,
        shape=("can", "round can"),
        alone=("round can", "tin with a lid", "tin can"),
        telling=telling,
        told_names=("tea tin",),
    )
    return make_thing("tin", parts, said)


def frame(rng: Rng) -> Thing:
    """A wooden frame with a photo, leaning back."""
    figure = _figure(rng)
    called = FIGURES[figure][1]
    _, ground = draw_colour(rng)
    photo = printed_picture(figure, (220, 160), ground, rng)
    wide, tall = rng.uniform(0.16, 0.2), rng.uniform(0.125, 0.15)
    name, tint = draw_colour(rng, ("brown", "black", "white", "red", "grey"))
    parts = packages.photo_frame(photo, size=(wide, tall), tint=tint, lean=rng.uniform(9, 15), seed=seed_of(rng))
    texts = (*(f"photo of a {word}" for word in called), *(f"picture of a {word}" for word in called), *called[1:])
    telling = ((f"figure:{figure}", texts), ("photo", ("framed photo", "photo in a frame", "framed picture")), PRINTED)
    said = Said(
        words=("picture frame", "photo frame", "frame"),
        colour=name,
        alone=("frame that stands",),
        telling=telling,
        told_names=(f"{figure} photo",),
    )
    return make_thing("frame", parts, said)
