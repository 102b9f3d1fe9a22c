"""Photos of the household scenes, with questions about the things that are seen well in them.

The scenes are those of `python -m data.recipes.household.training_views`; seeds from `TEST_FIRST` on are for tests.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data.recipes.household.catalogue import KINDS
from data.recipes.household.palette import NAMED
from data.recipes.vlm_tiny.exchange import SIDE, Exchange, Picture, Rng, one_of, place_words, with_article
from data.recipes.vlm_tiny.requests import HOUSEHOLD
from data.recipes.vlm_tiny.shape_questions import number_words, plural
from data.recipes.vlm_tiny.vocabulary import colour_number, what_number
from vision3d.laga.backbone_judge import NO, QUESTION, YES

_SEEN_PIXELS = 260
"""A thing of so many pixels is seen well enough to be asked about."""
_GLIMPSED_PIXELS = 25
"""A thing of fewer pixels counts as not in the picture; one in between is not asked about."""
_CLEAR = 0.09
"""Share of the picture's side by which two things lie left and right of each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A thing of a photo."""

    kind: str
    colour: str
    """Its one colour, or an empty word."""
    x: float
    y: float
    pixels: int

    @property
    def name(self) -> str:
        """Colour and kind."""
        return f"{self.colour} {self.kind}".strip()


def read_scene(path: Path) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """The arrays of one scene and what is true of its things."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in ("images", "ids")}
        return arrays, json.loads(stored["facts"].tobytes())


def household_picture(arrays: dict[str, np.ndarray], facts: list[dict[str, Any]], view: int, rng: Rng) -> Picture:
    """One photo of a scene, perhaps mirrored, with its questions."""
    image, ids = arrays["images"][view], arrays["ids"][view]
    if rng.random() < 0.5:
        image, ids = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(ids[:, ::-1])
    what, colour = np.zeros(ids.shape, np.int16), np.zeros(ids.shape, np.int16)
    seen, glimpsed = [], set()
    for one in facts:
        mask = ids == one["number"]
        pixels = int(mask.sum())
        if not pixels:
            continue
        name = _colour(one)
        what[mask], colour[mask] = what_number(f"a {one['kind']}"), colour_number(name) if name else -1
        if pixels < _SEEN_PIXELS:
            if pixels >= _GLIMPSED_PIXELS:
                glimpsed.add(one["kind"])
            continue
        rows, columns = np.nonzero(mask)
        seen.append(
            Seen(kind=one["kind"], colour=name, x=columns.mean() / SIDE, y=rows.mean() / SIDE, pixels=pixels)
        )  # fmt: skip
    exchanges = _exchanges(seen, glimpsed, rng) if seen else []
    return Picture(image=image, what=what, colour=colour, exchanges=tuple(exchanges), source="household")


def _exchanges(seen: list[Seen], glimpsed: set[str], rng: Rng) -> list[Exchange]:
    kinds = Counter(one.kind for one in seen)
    alone = [one for one in seen if kinds[one.kind] == 1 and one.kind not in glimpsed]
    exchanges = [*_presence(kinds, glimpsed, rng), *_one_by_one(alone, rng), *_sides(alone, rng)]
    for kind in [*kinds, one_of(rng, tuple(KINDS))]:
        if kind not in glimpsed:
            asked = ("How many {} are there?", "How many {} do you see?", "Count the {}.")
            count = kinds.get(kind, 0)
            question = one_of(rng, asked).format(plural(kind))
            exchanges.append(Exchange(kind="count", question=question, answer=number_words(count, kind)))
    largest = sorted(seen, key=lambda one: -one.pixels)[:5]
    ordered = [with_article(one.name) for one in sorted(largest, key=lambda one: one.x)]
    listed = ordered[0] if len(ordered) == 1 else ", ".join(ordered[:-1]) + " and " + ordered[-1]
    asked = ("What do you see?", "Describe the picture.", "What is in the picture, from left to right?")
    exchanges.append(Exchange(kind="description", question=one_of(rng, asked), answer=f"From left to right: {listed}."))
    return [*exchanges, *_requests(kinds, glimpsed, rng)]


def _requests(kinds: Counter[str], glimpsed: set[str], rng: Rng) -> list[Exchange]:
    """Requests that one kind of the picture meets, and one that nothing meets."""
    met, unmet = [], []
    for request, wanted in HOUSEHOLD.items():
        here = [kind for kind in wanted if kind in kinds]
        if len(here) == 1:
            met.append((request, here[0]))
        elif not here and not set(wanted) & glimpsed:
            unmet.append(request)
    exchanges = []
    for number in rng.permutation(len(met))[:2]:
        request, kind = met[int(number)]
        name = kind if kinds[kind] == 1 else plural(kind)
        be = "is" if kinds[kind] == 1 else "are"
        exchanges.append(Exchange(kind="request", question=request, answer=f"That {be} the <p>{name}</p> [SEG]."))
    if unmet:
        answer = "There is nothing for that in the picture."
        exchanges.append(Exchange(kind="request", question=one_of(rng, unmet), answer=answer))
    return exchanges


def close_up(
    arrays: dict[str, np.ndarray], facts: list[dict[str, Any]], view: int, rng: Rng
) -> Picture | None:  # fmt: skip
    """A thing that is seen well, cut out with some of what is around it; None where there is none."""
    ids = arrays["ids"][view]
    large = [one for one in facts if int((ids == one["number"]).sum()) > 2 * _SEEN_PIXELS]
    if not large:
        return None
    one = large[int(rng.integers(len(large)))]
    rows, columns = np.nonzero(ids == one["number"])
    half = max(np.ptp(rows), np.ptp(columns)) / 2 * rng.uniform(1.1, 1.8)
    middle = (
        np.array([(columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2])
        + rng.uniform(-0.1, 0.1, 2) * half
    )
    scale = SIDE / 2 / half
    matrix = np.array([[scale, 0, SIDE / 2 - scale * middle[0]], [0, scale, SIDE / 2 - scale * middle[1]]])
    if rng.random() < 0.5:
        matrix = np.array([[-1, 0, SIDE - 1], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]])
    image = cv2.warpAffine(
        arrays["images"][view], matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    cut = cv2.warpAffine(ids, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    what, colour = np.zeros(cut.shape, np.int16), np.zeros(cut.shape, np.int16)
    for other in facts:
        name = _colour(other)
        mask = cut == other["number"]
        what[mask], colour[mask] = what_number(f"a {other['kind']}"), colour_number(name) if name else -1
    return Picture(image=image, what=what, colour=colour, exchanges=tuple(_of_close_up(one, rng)), source="close-up")


def _of_close_up(one: dict[str, Any], rng: Rng) -> list[Exchange]:
    kind, colour = one["kind"], _colour(one)
    other = one_of(rng, [name for name in KINDS if name != kind])
    exchanges = [
        Exchange(
            kind="name", question=one_of(rng, ("What is this?", "What is in the middle?", "Name the thing.")),
            answer=f"This is {with_article(f'{colour} {kind}'.strip())}.",
        ),
        Exchange(
            kind="presence", question=f"Is this {with_article(kind)}?", answer=f"Yes, this is {with_article(kind)}."
        ),
        Exchange(kind="presence", question=f"Is this {with_article(other)}?", answer=f"No, this is no {other}."),
    ]  # fmt: skip
    if colour:
        exchanges.append(Exchange(kind="colour", question="What colour is it?", answer=f"It is {colour}."))
    met = [request for request, wanted in HOUSEHOLD.items() if kind in wanted]
    unmet = [request for request, wanted in HOUSEHOLD.items() if kind not in wanted]
    for request, answer in ((met, YES), (unmet, NO)):
        if request:
            exchanges.append(Exchange(kind="wanted", question=QUESTION.format(one_of(rng, request)), answer=answer))
    return exchanges


def _colour(one: dict[str, Any]) -> str:
    """The one colour of a thing, or an empty word."""
    named = [fact.removeprefix("colour:") for fact in one["facts"] if fact.startswith("colour:")]
    return named[0] if len(named) == 1 and named[0] in NAMED else ""


def _presence(kinds: Counter[str], glimpsed: set[str], rng: Rng) -> list[Exchange]:
    asked = ("Is there {}?", "Can you see {}?", "Does the picture show {}?", "Do you see {}?")
    absent = [kind for kind in KINDS if kind not in kinds and kind not in glimpsed]
    exchanges = []
    for kind, there in ((one_of(rng, list(kinds)), True), (one_of(rng, absent), False), (one_of(rng, absent), False)):
        answer = f"Yes, there is {with_article(kind)}." if there else f"No, there is no {kind}."
        question = one_of(rng, asked).format(with_article(kind))
        exchanges.append(Exchange(kind="presence", question=question, answer=answer))
    name = one_of(rng, absent)
    ask = ("Segment {}.", "Show me {}.", "Outline {}.", "Where exactly is {}? Mark it.")
    question = one_of(rng, ask).format(f"the {name}")
    exchanges.append(Exchange(kind="mask", question=question, answer=f"There is no {name} in the picture."))
    return exchanges


def _one_by_one(alone: list[Seen], rng: Rng) -> list[Exchange]:
    exchanges = []
    for one in alone:
        if one.colour:
            asked = ("What colour is the {}?", "Which colour does the {} have?", "What is the colour of the {}?")
            question = one_of(rng, asked).format(one.kind)
            exchanges.append(Exchange(kind="colour", question=question, answer=f"The {one.kind} is {one.colour}."))
        words = place_words(one.x, one.y)
        if words:
            question = one_of(rng, ("Where is the {}?", "Where in the picture is the {}?")).format(one.kind)
            exchanges.append(Exchange(kind="where", question=question, answer=f"The {one.kind} is {words}."))
        ask = ("Segment {}.", "Show me {}.", "Outline {}.", "Where exactly is {}? Mark it.")
        question = one_of(rng, ask).format(f"the {one.kind}")
        exchanges.append(Exchange(kind="mask", question=question, answer=f"Here is the <p>{one.kind}</p> [SEG]."))
    return exchanges


def _sides(alone: list[Seen], rng: Rng) -> list[Exchange]:
    exchanges = []
    for one, other in zip(alone, [*alone[1:], *alone[:1]], strict=True):
        if abs(one.x - other.x) > _CLEAR:
            side = "left of" if one.x < other.x else "right of"
            asked = ("Is the {} left or right of the {}?", "On which side of the {1} is the {0}, left or right?")
            question = one_of(rng, asked).format(one.kind, other.kind)
            answer = f"The {one.kind} is {side} the {other.kind}."
            exchanges.append(Exchange(kind="left or right", question=question, answer=answer))
    return exchanges
