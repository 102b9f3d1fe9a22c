"""The tabletop: which objects stand where, what they are called, and the room around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from data.recipes.tabletop import objects_desk as desk
from data.recipes.tabletop import objects_kitchen as kitchen
from data.recipes.tabletop.surfaces import Material, Part, Parts, box, flat, moved, placement
from data.recipes.tabletop.textures import gingham, glaze, wallpaper, wood

TABLE_HEIGHT_M = 0.74


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObject:
    """One instance on the table."""

    number: int
    """Instance id in the masks, from 1."""
    name: str
    """Unique name."""
    kind: str
    """Category word."""
    parts: Parts
    """Placed geometry, metres, z up, world frame."""
    phrases: tuple[str, ...]
    """Further phrases that mean this instance alone."""
    side_phrases: tuple[str, ...] = ()
    """Phrases that can only be told from where the telling side is seen."""


# name, kind, builder, (x, y) on the table, yaw in degrees, lift above the table, phrases, phrases told by one side
_PLAN = (
    ("cereal box", "box", kitchen.cereal_box, (-0.20, 0.24), 14, 0.0, ("tall yellow box", "yellow cardboard box"),
     ("cereal", "box with a bowl of cereal on it", "breakfast cereal")),
    ("milk carton", "carton", kitchen.milk_carton, (-0.02, 0.27), -12, 0.0, ("white and blue carton", "gable-top carton"),
     ("milk", "carton with a cow on it", "picture of a cow")),
    ("fish book", "book", desk.fish_book, (0.33, 0.20), -38, 0.0, ("standing blue book", "upright book"),
     ("book with a fish on the cover", "picture of a fish", "the fish")),
    ("star book", "book", desk.star_book, (-0.37, -0.17), 28, 0.0, ("lying red book", "book lying flat"),
     ("book with a star on the cover", "the star")),
    ("tea tin", "tin", kitchen.tea_tin, (0.15, 0.25), 24, 0.0, ("green tin", "round green can"),
     ("tea", "tin with leaves on its label")),
    ("framed photo", "picture frame", desk.picture_frame, (-0.43, 0.10), 62, 0.0, ("wooden picture frame", "photo frame"),
     ("photo of a sailing boat", "picture of the sea", "sailing boat")),
    ("alarm clock", "clock", desk.alarm_clock, (0.45, -0.02), -72, 0.0, ("red twin-bell clock", "thing with two brass bells"),
     ("clock", "clock dial", "what shows the time")),
    ("red mug", "mug", lambda: kitchen.mug((196, 44, 40)), (-0.14, -0.29), 40, 0.0, ("red cup",), ()),
    ("blue mug", "mug", lambda: kitchen.mug((44, 92, 176)), (0.36, -0.20), 130, 0.0, ("blue cup",), ()),
    ("plate", "plate", kitchen.plate, (0.12, -0.24), 0, 0.0, ("white plate with blue rings", "dish under the doughnut"), ()),
    ("doughnut", "doughnut", kitchen.doughnut, (0.12, -0.24), 20, 0.007, ("iced doughnut", "pink pastry with sprinkles"), ()),
    ("fruit bowl", "bowl", kitchen.bowl, (0.02, 0.02), 0, 0.0, ("bowl with diamonds", "patterned bowl"), ()),
    ("red apple", "apple", lambda: kitchen.apple((186, 30, 34), (222, 88, 50), seed=1), (0.056, -0.012), 30, 0.018,
     (), ()),
    ("green apple", "apple", lambda: kitchen.apple((136, 178, 52), (178, 200, 84), seed=2), (-0.02, 0.056), 150, 0.018,
     (), ()),
    ("yellow apple", "apple", lambda: kitchen.apple((232, 186, 62), (226, 108, 58), seed=3), (-0.026, -0.026), 260, 0.018,
     (), ()),
    ("banana", "banana", kitchen.banana, (-0.30, -0.02), 70, 0.0, ("yellow curved fruit",), ()),
    ("teapot", "teapot", kitchen.teapot, (0.26, 0.02), 205, 0.0, ("orange pot with a spout", "pot for tea"), ()),
    ("green bottle", "bottle", kitchen.bottle, (-0.30, 0.33), 0, 0.0, ("bottle with a cork", "wine bottle"), ()),
    ("table lamp", "lamp", desk.table_lamp, (0.45, 0.33), 0, 0.0, ("lamp with a linen shade", "what gives light"), ()),
    ("potted plant", "plant", desk.potted_plant, (-0.50, 0.33), 0, 0.0, ("house plant", "plant in a clay pot"), ()),
    ("candle", "candle", desk.candle, (-0.02, -0.36), 0, 0.0, ("purple candle", "lit candle"), ()),
    ("red die", "die", lambda: desk.die((200, 34, 36)), (0.27, -0.36), 25, 0.0, ("red dice", "red cube with dots"), ()),
    ("blue die", "die", lambda: desk.die((40, 84, 180)), (0.345, -0.335), -20, 0.0, ("blue dice", "blue cube with dots"), ()),
    ("beach ball", "ball", desk.beach_ball, (-0.50, -0.36), 0, 0.0, ("colourful ball", "ball with wedges"), ()),
)  # fmt: skip


def tabletop_objects() -> tuple[SceneObject, ...]:
    """Every instance, placed in the world."""
    objects = []
    for number, (name, kind, build, (x, y), yaw, lift, phrases, side_phrases) in enumerate(_PLAN, 1):
        place = placement(offset=(x, y, TABLE_HEIGHT_M + lift), yaw=yaw)
        objects.append(
            SceneObject(
                number=number,
                name=name,
                kind=kind,
                parts=moved(build(), place),
                phrases=phrases,
                side_phrases=side_phrases,
            )
        )
    return tuple(objects)


def tabletop_meshes() -> dict[str, trimesh.Trimesh]:
    """One mesh per named object, metres, world frame (z up): the ground truth for extracted meshes."""
    return {
        thing.name: trimesh.util.concatenate([part.mesh.copy() for part in thing.parts]) for thing in tabletop_objects()
    }


def surroundings() -> tuple[Part, ...]:
    """Table with a cloth, floor, walls: everything that is not an object (mask id 0)."""
    top = Material(texture=wood((196, 142, 88), (126, 80, 44), planks=6, seed=50), gloss=0.12)
    cloth = Material(texture=gingham((238, 232, 218), (78, 124, 92), checks=6, seed=51))
    edge = Material(texture=wood((170, 118, 70), (110, 70, 38), planks=1, seed=52))
    table = moved(
        box((1.36, 1.08, 0.035), {"top": top, "other": edge}, step=0.012),
        placement(offset=(0, 0, TABLE_HEIGHT_M - 0.035)),
    )
    square = placement(offset=(0.03, -0.05, TABLE_HEIGHT_M + 0.001), yaw=8)
    spread = flat((-0.3, 0.3, 0), (0.6, 0, 0), (0, -0.6, 0), cloth, step=0.006).moved(square)
    legs = []
    for x in (-0.6, 0.6):
        for y in (-0.46, 0.46):
            leg = box((0.06, 0.06, TABLE_HEIGHT_M - 0.035), {"other": edge}, step=0.04)
            legs += moved(leg, placement(offset=(x, y, 0)))
    boards = np.tile(wood((158, 128, 98), (112, 84, 60), planks=6, seed=53), (2, 2, 1))
    floor = flat((-2.2, 2.2, 0), (4.4, 0, 0), (0, -4.4, 0), Material(texture=boards, gloss=0.1), step=0.05)
    papers = [
        wallpaper((222, 206, 178), (150, 170, 130), seed=54),
        wallpaper((170, 192, 200), (118, 146, 160), seed=55),
    ]
    walls = []
    for turn in range(4):
        paper = Material(texture=np.tile(papers[turn % 2], (5, 8, 1)))
        wall = flat((-2.2, 2.2, 2.6), (4.4, 0, 0), (0, 0, -2.6), paper, step=0.06)
        walls.append(wall.moved(placement(yaw=90 * turn)))
    skirting = Material(texture=glaze((244, 240, 230), seed=56))
    boards_low = [
        flat((-2.2, 2.18, 0.12), (4.4, 0, 0), (0, 0, -0.12), skirting, step=0.06).moved(placement(yaw=90 * turn))
        for turn in range(4)
    ]
    return *table, spread, *legs, floor, *walls, *boards_low
