"""`random_scene`: things of random kinds on a table in a random room, from a seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from data.recipes.household import food_things, kitchen
from data.recipes.household.catalogue import KINDS
from data.recipes.household.kitchen import Rng, seed_of
from data.recipes.household.palette import blended, draw_colour, shade_of
from data.recipes.household.thing import Thing
from data.recipes.tabletop.scene import TABLE_HEIGHT_M
from data.recipes.tabletop.surfaces import Material, Part, Parts, box, flat, moved, placement
from data.recipes.tabletop.textures import Picture, diamond_border, gingham, glaze, wallpaper, wood

ROOM = ("table", "tablecloth", "floor", "wall", "skirting board")
"""What is around the things; piece numbers of the surroundings are rows of this table."""
_REACH_M = (0.55, 0.44)
"""Things stand within this distance of the table's middle, along x and y."""
_GAP_M = 0.008


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A thing in the world."""

    number: int
    """Instance id in the masks, from 1."""
    thing: Thing
    parts: Parts
    """Metres, z up, world frame."""
    group: int
    """Instance id of what carries it, or its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdScene:
    """Everything that is seen."""

    placed: tuple[Placed, ...]
    room: Parts
    room_piece: tuple[int, ...]
    """Row of `ROOM` for each part of the room."""

    def parts(self) -> tuple[list[Part], list[int]]:
        """All parts, and the instance id of each; 0 for the room."""
        parts, numbers = list(self.room), [0] * len(self.room)
        for one in self.placed:
            parts += one.parts
            numbers += [one.number] * len(one.parts)
        return parts, numbers


def random_scene(seed: int, *, count: int = 16, kinds: Sequence[str] = tuple(KINDS)) -> HouseholdScene:
    """A table with about `count` things of the given kinds; equal seeds give equal scenes."""
    rng = np.random.default_rng(seed)
    placed: list[Placed] = []
    spots: list[tuple[float, float, float]] = []
    order = [kinds[int(row)] for row in rng.permutation(len(kinds))]
    wanted = [
        order[place % len(order)] if rng.random() < 0.8 else kinds[int(rng.integers(len(kinds)))]
        for place in range(count)
    ]
    for kind in wanted:
        carried = _carried(rng, kind)
        thing = _carrier(rng, kind, carried)
        radius = _radius(thing.parts)
        spot = _free_spot(rng, spots, radius)
        if spot is None:
            continue
        spots.append((*spot, radius))
        group = len(placed) + 1
        placed.append(_place(rng, group, group, thing, spot, 0.0))
        for top, shift, lift in carried:
            number = len(placed) + 1
            placed.append(_place(rng, number, group, top, (spot[0] + shift[0], spot[1] + shift[1]), lift))
    room, pieces = _room(rng)
    return HouseholdScene(placed=tuple(placed), room=room, room_piece=pieces)


def _carried(rng: Rng, kind: str) -> list[tuple[Thing, tuple[float, float], float]]:
    """What lies in or on a thing: (thing, shift, lift)."""
    if kind == "plate" and rng.random() < 0.6:
        build = (food_things.doughnut, food_things.cupcake, food_things.tomato, food_things.lemon)[int(rng.integers(4))]
        return [(build(rng), (0.0, 0.0), 0.006)]
    if kind == "bowl" and rng.random() < 0.6:
        builds = [food_things.apple, food_things.orange, food_things.pear, food_things.lemon, food_things.tomato]
        turn, count = rng.uniform(0, 2 * np.pi), int(rng.integers(2, 4))
        chosen = [builds[int(row)] for row in rng.permutation(len(builds))[:count]]
        if rng.random() < 0.4:
            chosen = [food_things.apple] * count
        angles = turn + 2 * np.pi * np.arange(count) / count
        reach = 0.047 if count == 3 else 0.042
        return [
            (build(rng), (reach * float(np.cos(angle)), reach * float(np.sin(angle))), 0.02)
            for build, angle in zip(chosen, angles, strict=True)
        ]
    return []


def _carrier(rng: Rng, kind: str, carried: Sequence[tuple[Thing, tuple[float, float], float]]) -> Thing:
    if kind == "plate" and carried:
        return kitchen.plate(rng, carried[0][0].kind)
    if kind == "bowl" and carried:
        return kitchen.bowl(rng, fruit=True)
    return KINDS[kind](rng)


def _place(rng: Rng, number: int, group: int, thing: Thing, spot: tuple[float, float], lift: float) -> Placed:
    matrix = placement(offset=(*spot, TABLE_HEIGHT_M + lift), yaw=rng.uniform(0, 360))
    return Placed(number=number, thing=thing, parts=moved(thing.parts, matrix), group=group)


def _radius(parts: Parts) -> float:
    vertices = np.concatenate([part.mesh.vertices for part in parts])
    return float(np.linalg.norm(vertices[:, :2], axis=1).max())


def _free_spot(rng: Rng, spots: Sequence[tuple[float, float, float]], radius: float) -> tuple[float, float] | None:
    """A place on the table that keeps its distance from all others, or None."""
    for _ in range(200):
        x, y = (float(rng.uniform(-reach, reach)) for reach in _REACH_M)
        if all(np.hypot(x - a, y - b) > radius + other + _GAP_M for a, b, other in spots):
            return x, y
    return None


def _pattern(rng: Rng, *, cloth: bool = False) -> Picture:
    """A cloth or a wall's paper."""
    ground, figure, accent = (draw_colour(rng)[1] for _ in range(3))
    pale = blended(ground, (235, 235, 235), 0.55)
    choice = int(rng.integers(4))
    if choice == 0:
        return gingham(shade_of(rng, "white"), figure, checks=int(rng.integers(3, 9)), seed=seed_of(rng))
    if choice == 1:
        return glaze(ground if cloth else pale, seed_of(rng), variation=rng.uniform(2, 9), size=192)
    if choice == 2:
        return wallpaper(pale, figure, accent, seed=seed_of(rng))
    return diamond_border(pale, figure, accent, size=(256, 256), count=int(rng.integers(3, 7)))


def _timber(rng: Rng, planks: int) -> Picture:
    light = np.clip(np.array([190, 140, 90]) * rng.uniform(0.45, 1.2) + rng.uniform(-14, 14, 3), 20, 250)
    if rng.random() < 0.15:
        light = np.array(shade_of(rng, "white" if rng.random() < 0.6 else "grey"), float)
    dark = light * rng.uniform(0.55, 0.8)
    first, second = (tuple(int(c) for c in shade) for shade in (light, dark))
    return wood(first, second, planks=planks, seed=seed_of(rng))  # type: ignore[arg-type]


def _room(rng: Rng) -> tuple[Parts, tuple[int, ...]]:
    """Table, sometimes with a cloth, floor and walls, and the piece of each part."""
    top = Material(texture=_timber(rng, int(rng.integers(3, 8))), gloss=rng.uniform(0, 0.2))
    edge = Material(texture=_timber(rng, 1))
    slab = box((1.36, 1.08, 0.035), {"top": top, "other": edge}, step=0.016)
    parts: list[Part] = list(moved(slab, placement(offset=(0, 0, TABLE_HEIGHT_M - 0.035))))
    for x in (-0.6, 0.6):
        for y in (-0.46, 0.46):
            parts += moved(
                box((0.06, 0.06, TABLE_HEIGHT_M - 0.035), {"other": edge}, step=0.08), placement(offset=(x, y, 0))
            )
    pieces = [0] * len(parts)
    if rng.random() < 0.6:
        wide, long = rng.uniform(0.4, 1.0), rng.uniform(0.35, 0.8)
        spread = flat(
            (-wide / 2, long / 2, 0),
            (wide, 0, 0),
            (0, -long, 0),
            Material(texture=_pattern(rng, cloth=True)),
            step=0.01,
        )
        place = placement(
            offset=(rng.uniform(-0.08, 0.08), rng.uniform(-0.08, 0.08), TABLE_HEIGHT_M + 0.001),
            yaw=rng.uniform(-20, 20),
        )
        parts.append(spread.moved(place))
        pieces.append(1)
    boards = _timber(rng, 6) if rng.random() < 0.7 else _pattern(rng)
    floor = flat(
        (-2.2, 2.2, 0), (4.4, 0, 0), (0, -4.4, 0), Material(texture=np.tile(boards, (2, 2, 1)), gloss=0.1), step=0.08
    )
    papers = [Material(texture=np.tile(_pattern(rng), (5, 8, 1))) for _ in range(2)]
    walls = [
        flat((-2.2, 2.2, 2.6), (4.4, 0, 0), (0, 0, -2.6), papers[turn % 2], step=0.1).moved(placement(yaw=90 * turn))
        for turn in range(4)
    ]
    low = Material(texture=glaze(shade_of(rng, "white" if rng.random() < 0.7 else "brown"), seed_of(rng)))
    skirting = [
        flat((-2.2, 2.18, 0.12), (4.4, 0, 0), (0, 0, -0.12), low, step=0.1).moved(placement(yaw=90 * turn))
        for turn in range(4)
    ]
    return (*parts, floor, *walls, *skirting), (*pieces, 2, 3, 3, 3, 3, 4, 4, 4, 4)


def piece_of_parts(scene: HouseholdScene) -> ndarray:
    """A number per part, in the order of `parts()`: one for each visibly different material of each instance.

    The room's pieces are numbered first (rows of `ROOM`), then those of the things.
    """
    numbers = list(scene.room_piece)
    known: dict[tuple, int] = {}
    for one in scene.placed:
        for part in one.parts:
            mean = tuple((part.material.texture.reshape(-1, 3).mean(0) / 16).round().astype(int).tolist())
            key = (one.number, mean, part.telling)
            numbers.append(known.setdefault(key, len(ROOM) + len(known)))
    return np.asarray(numbers)
