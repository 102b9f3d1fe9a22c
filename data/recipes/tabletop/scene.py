"""The tabletop: which objects stand where, what they are called, and the room around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from data.recipes.tabletop import food, furnishings, kitchenware, packages, toys
from data.recipes.tabletop import printed_faces as faces
from data.recipes.tabletop.surfaces import Material, Part, Parts, box, flat, joined, moved, placement
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


_PALETTE = ((226, 52, 44), (250, 250, 246), (36, 92, 190), (250, 204, 46), (250, 250, 246), (46, 150, 84))
_TULIPS = ((222, 48, 64), (250, 190, 60), (240, 120, 170), (222, 48, 64), (252, 236, 214), (250, 190, 60))


def _lying_book() -> Parts:
    upright = packages.book(faces.star_cover(), cloth=(122, 36, 58), size=(0.135, 0.03, 0.185), seed=22)
    return moved(upright, placement(offset=(0, 0.0925, 0.015), tilt=-90))


def _vase_of_tulips() -> Parts:
    flowers = furnishings.bouquet(_TULIPS, height=0.13, spread=0.062, seed=5)
    holder = furnishings.vase((240, 236, 224), figure=(38, 84, 160), height=0.15, seed=6)
    return *holder, *moved(flowers, placement(offset=(0, 0, 0.132)))


# name, kind, builder, (x, y) on the table, yaw in degrees, lift above the table, phrases, phrases told by one side
_PLAN = (
    ("cereal box", "box", lambda: packages.printed_box(faces.cereal_face(), size=(0.15, 0.055, 0.215), seed=12), (-0.20, 0.24), 14, 0.0,
     ("cardboard box", "tall rectangular box"), ("cereal", "box with a bowl of cereal on it", "breakfast cereal")),
    ("milk carton", "carton", lambda: packages.gable_carton(faces.cow_face(), height=0.185, seed=13), (0.15, 0.27), -14, 0.0,
     ("white and blue carton", "carton with a folded top"), ("milk", "carton with a cow on it", "picture of a cow")),
    ("fish book", "book", lambda: packages.book(faces.fish_cover(), cloth=(26, 92, 138), seed=21), (0.44, -0.20), 62, 0.0,
     ("standing blue book", "upright book"), ("book with a fish on the cover", "picture of a fish", "orange fish")),
    ("star book", "book", _lying_book, (-0.40, -0.20), 24, 0.0,
     ("lying red book", "book lying flat", "book with a star on the cover"), ()),
    ("tea tin", "tin", lambda: packages.tea_tin(seed=14), (-0.03, 0.30), 160, 0.0,
     ("green tin", "round green can"), ("tin of tea", "tin with leaves on its label")),
    ("framed photo", "picture frame", lambda: packages.photo_frame(faces.sea_photo(), size=(0.19, 0.145), seed=24), (-0.45, 0.16), 58, 0.0,
     ("picture frame", "photo frame"), ("photo of a sailing boat", "picture of the sea", "sailing boat")),
    ("alarm clock", "clock", lambda: furnishings.alarm_clock((206, 60, 56), radius=0.058, depth=0.048, seed=25), (0.47, 0.05), -66, 0.0,
     ("red round thing with two bells", "twin-bell clock"), ("clock dial", "what shows the time", "dial with numbers")),
    ("red mug", "mug", lambda: kitchenware.mug((196, 44, 40), seed=3), (-0.14, -0.27), 40, 0.0, ("red cup", "plain red mug"), ()),
    ("blue mug", "mug", lambda: kitchenware.mug((44, 92, 176), stripe=(240, 236, 220), seed=4), (0.27, -0.17), 20, 0.0,
     ("blue cup", "mug with white stripes"), ()),
    ("plate", "plate", lambda: kitchenware.plate((246, 244, 238), rim=(58, 96, 168), seed=5), (0.09, -0.26), 0, 0.0,
     ("white plate with blue rings", "dish under the doughnut"), ()),
    ("doughnut", "doughnut", lambda: food.doughnut(seed=9), (0.09, -0.26), 20, 0.006,
     ("iced doughnut", "pink pastry with sprinkles"), ()),
    ("fruit bowl", "bowl", lambda: kitchenware.bowl((38, 100, 160), seed=6), (0.02, 0.02), 0, 0.0,
     ("bowl with diamonds", "patterned bowl"), ()),
    ("red apple", "apple", lambda: food.apple((186, 30, 34), blush=(222, 88, 50), seed=1), (0.069, 0.008), 30, 0.021,
     ("red fruit",), ()),
    ("green apple", "apple", lambda: food.apple((136, 178, 52), blush=(178, 200, 84), seed=2), (0.006, 0.068), 150, 0.021,
     ("green fruit",), ()),
    ("yellow apple", "apple", lambda: food.apple((236, 190, 62), blush=(232, 140, 60), seed=3), (-0.015, -0.018), 260, 0.021,
     ("yellow round fruit",), ()),
    ("banana", "banana", lambda: food.banana(seed=8), (-0.19, -0.04), 75, 0.0, ("yellow curved fruit",), ()),
    ("teapot", "teapot", lambda: kitchenware.teapot((226, 120, 52), seed=15), (0.26, 0.03), 205, 0.0,
     ("orange pot with a spout", "pot for tea"), ()),
    ("green bottle", "bottle", lambda: kitchenware.bottle((34, 110, 66), seed=16), (-0.33, 0.37), 0, 0.0,
     ("bottle with a cork", "wine bottle"), ()),
    ("table lamp", "lamp", lambda: furnishings.table_lamp((52, 96, 112), seed=27), (0.46, 0.34), 0, 0.0,
     ("lamp with a linen shade", "lamp on a thin stem"), ()),
    ("potted plant", "plant", lambda: furnishings.potted_plant(seed=30), (-0.50, 0.33), 0, 0.0,
     ("house plant", "plant in a clay pot"), ()),
    ("vase of tulips", "vase", _vase_of_tulips, (0.27, 0.37), 15, 0.0, ("flowers in a vase", "bunch of tulips"), ()),
    ("candle", "candle", lambda: furnishings.candle((150, 92, 160), (206, 168, 84), seed=31), (-0.03, -0.40), 0, 0.0,
     ("purple candle", "burning candle"), ()),
    ("red die", "die", lambda: toys.die((200, 34, 36), size=0.048), (0.28, -0.38), 25, 0.0, ("red dice", "red cube with dots"), ()),
    ("blue die", "die", lambda: toys.die((40, 84, 180), size=0.048), (0.355, -0.36), -20, 0.0, ("blue dice", "blue cube with dots"), ()),
    ("rubber duck", "duck", lambda: toys.rubber_duck(seed=32), (-0.27, -0.37), 35, 0.0, ("yellow duck", "bath toy"), ()),
    ("beach ball", "ball", lambda: toys.beach_ball(_PALETTE, radius=0.072), (-0.47, -0.37), 0, 0.0,
     ("colourful ball", "ball with wedges"), ()),
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
    meshes = {}
    for thing in tabletop_objects():
        vertices, faces = joined(thing.parts)
        meshes[thing.name] = trimesh.Trimesh(vertices, faces, process=True)
    return meshes


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
        wallpaper((212, 196, 168), (168, 178, 142), (198, 140, 100), seed=54),
        wallpaper((170, 192, 200), (128, 156, 172), (222, 214, 196), seed=55),
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


def everything(objects: tuple[SceneObject, ...]) -> tuple[list[Part], list[int]]:
    """Parts of the surroundings and of all objects, and the instance id of each part."""
    around = surroundings()
    parts, numbers = list(around), [0] * len(around)
    for thing in objects:
        parts += thing.parts
        numbers += [thing.number] * len(thing.parts)
    return parts, numbers
