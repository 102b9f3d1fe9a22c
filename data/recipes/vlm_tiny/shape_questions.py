"""What can be asked of a picture of shapes, and the answers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from data.recipes.household.palette import NAMED
from data.recipes.vlm_tiny.exchange import SIDE, Exchange, Picture, Rng, one_of, place_words, with_article
from data.recipes.vlm_tiny.shapes import SHAPES, Shape, draw_shapes

_CLEAR_PIXELS = 20.0
"""Two shapes lie left and right of, or above and below, each other from this distance on."""


def shape_picture(rng: Rng, *, easy: bool = False) -> Picture:
    """A random picture of shapes with everything that is asked of it."""
    image, what, colour, shapes = draw_shapes(rng, easy=easy)
    exchanges = [
        *_colours(rng, shapes), *_forms(rng, shapes), *_presence(rng, shapes), *_sides(rng, shapes),
        *_counts(rng, shapes), *_places(rng, shapes), *_sizes(rng, shapes), *_descriptions(rng, shapes),
        *_masks(rng, shapes),
    ]  # fmt: skip
    return Picture(image=image, what=what, colour=colour, exchanges=tuple(exchanges), source="shapes")


def plural(name: str) -> str:
    """More than one of it.

    Example:
        >>> plural("red cross"), plural("star")
        ('red crosses', 'stars')
    """
    return name + ("es" if name.endswith(("s", "x")) else "s")


def number_words(count: int, name: str) -> str:
    """`There is 1 star.`, `There are 3 stars.`"""
    return f"There is 1 {name}." if count == 1 else f"There are {count} {plural(name)}."


def _alone(shapes: list[Shape]) -> list[tuple[Shape, str]]:
    """Each shape with a shortest name that is its alone, where there is one."""
    forms, names = Counter(s.form for s in shapes), Counter(s.name for s in shapes)
    named = [(s, s.form if forms[s.form] == 1 else s.name) for s in shapes]
    return [(s, name) for s, name in named if name != s.name or names[name] == 1]


def _colours(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    forms = Counter(s.form for s in shapes)
    asked = ("What colour is the {}?", "Which colour does the {} have?", "What is the colour of the {}?")
    return [
        Exchange(kind="colour", question=one_of(rng, asked).format(s.form), answer=f"The {s.form} is {s.colour}.")
        for s in shapes
        if forms[s.form] == 1
    ]


def _forms(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    colours = Counter(s.colour for s in shapes)
    asked = ("What shape is the {} thing?", "Which shape is {}?", "What is the {} shape?")
    return [
        Exchange(
            kind="shape", question=one_of(rng, asked).format(s.colour), answer=f"The {s.colour} shape is a {s.form}."
        )
        for s in shapes
        if colours[s.colour] == 1
    ]


def _presence(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    forms, names = {s.form for s in shapes}, {s.name for s in shapes}
    asked = ("Is there {}?", "Can you see {}?", "Does the picture show {}?", "Do you see {}?")
    exchanges = []
    for _ in range(2):
        there = shapes[int(rng.integers(len(shapes)))].name
        absent = _absent_name(rng, shapes, names)
        for name, seen in ((there, True), (absent, False)):
            answer = f"Yes, there is {with_article(name)}." if seen else f"No, there is no {name}."
            exchanges.append(
                Exchange(kind="presence", question=one_of(rng, asked).format(with_article(name)), answer=answer)
            )
    form = one_of(rng, SHAPES)
    answer = f"Yes, there is {with_article(form)}." if form in forms else f"No, there is no {form}."
    exchanges.append(Exchange(kind="presence", question=one_of(rng, asked).format(with_article(form)), answer=answer))
    return exchanges


def _absent_name(rng: Rng, shapes: list[Shape], names: set[str]) -> str:
    """A name that nothing has; mostly the colour of one shape with the form of another."""
    for _ in range(20):
        near = rng.random() < 0.7
        colour = shapes[int(rng.integers(len(shapes)))].colour if near else one_of(rng, tuple(NAMED))
        form = shapes[int(rng.integers(len(shapes)))].form if rng.random() < 0.6 else one_of(rng, SHAPES)
        if f"{colour} {form}" not in names:
            return f"{colour} {form}"
    return next(f"{c} {f}" for c in NAMED for f in SHAPES if f"{c} {f}" not in names)


def _sides(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    named = _alone(shapes)
    exchanges = []
    for number, (one, name) in enumerate(named):
        for other, other_name in named[number + 1 :]:
            first, second = (
                ((one, name), (other, other_name)) if rng.random() < 0.5 else ((other, other_name), (one, name))
            )
            dx, dy = first[0].x - second[0].x, first[0].y - second[0].y
            if abs(dx) > _CLEAR_PIXELS:
                side = "left of" if dx < 0 else "right of"
                asked = ("Is the {} left or right of the {}?", "On which side of the {1} is the {0}, left or right?")
                question = one_of(rng, asked).format(first[1], second[1])
                exchanges.append(
                    Exchange(
                        kind="left or right", question=question, answer=f"The {first[1]} is {side} the {second[1]}."
                    )
                )
            if abs(dy) > _CLEAR_PIXELS:
                side = "above" if dy < 0 else "below"
                exchanges.append(
                    Exchange(
                        kind="above or below",
                        question=f"Is the {first[1]} above or below the {second[1]}?",
                        answer=f"The {first[1]} is {side} the {second[1]}.",
                    )
                )
    return exchanges


def _counts(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    asked = ("How many {} are there?", "How many {} do you see?", "Count the {}.")
    total = {"shape": len(shapes)}
    forms = dict(Counter(s.form for s in shapes))
    absent = one_of(rng, SHAPES)
    colours = {f"{name} shape": count for name, count in Counter(s.colour for s in shapes).items()}
    most = max(forms.items(), key=lambda item: item[1])
    counted = [
        *total.items(),
        most,
        (absent, forms.get(absent, 0)),
        *list(colours.items())[:1],
        *list(forms.items())[:1],
    ]
    return [
        Exchange(kind="count", question=one_of(rng, asked).format(plural(name)), answer=number_words(count, name))
        for name, count in counted
    ]


def _places(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    exchanges = []
    for shape, name in _alone(shapes):
        words = place_words(shape.x / SIDE, shape.y / SIDE)
        if words:
            asked = ("Where is the {}?", "Where in the picture is the {}?")
            exchanges.append(
                Exchange(kind="where", question=one_of(rng, asked).format(name), answer=f"The {name} is {words}.")
            )
    return exchanges


def _sizes(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    named = _alone(shapes)
    exchanges = []
    for (one, name), (other, other_name) in pairwise(named):
        larger = max(one.radius, other.radius) > 1.35 * min(one.radius, other.radius)
        if larger and one.form == other.form:
            word = one_of(rng, ("larger", "smaller"))
            first = (one.radius > other.radius) == (word == "larger")
            exchanges.append(
                Exchange(
                    kind="size",
                    question=f"Which is {word}, the {name} or the {other_name}?",
                    answer=f"The {name if first else other_name} is {word}.",
                )
            )
    return exchanges


def _descriptions(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    ordered = [with_article(s.name) for s in sorted(shapes, key=lambda s: s.x)]
    listed = ordered[0] if len(ordered) == 1 else ", ".join(ordered[:-1]) + " and " + ordered[-1]
    asked = ("What do you see?", "Describe the picture.", "What is in the picture, from left to right?")
    return [Exchange(kind="description", question=one_of(rng, asked), answer=f"From left to right: {listed}.")]


def _masks(rng: Rng, shapes: list[Shape]) -> list[Exchange]:
    asked = ("Segment {}.", "Show me {}.", "Outline {}.", "Where exactly is {}? Mark it.")
    names = Counter(s.name for s in shapes)
    exchanges = []
    for shape in shapes[:3]:
        if names[shape.name] == 1:
            exchanges.append(
                Exchange(
                    kind="mask",
                    question=one_of(rng, asked).format(f"the {shape.name}"),
                    answer=f"Here is the <p>{shape.name}</p> [SEG].",
                )
            )
    absent = _absent_name(rng, shapes, set(names))
    refusal = f"There is no {absent} in the picture."
    exchanges.append(Exchange(kind="mask", question=one_of(rng, asked).format(f"the {absent}"), answer=refusal))
    return exchanges
