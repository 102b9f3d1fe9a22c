"""Things with a printed face and plain other sides: cereal box, milk carton, tea tin, books, photo frame."""

from __future__ import annotations

import numpy as np

from data.recipes.tabletop.printed_faces import cardboard, carton_side, page_edges, tea_label
from data.recipes.tabletop.surfaces import (
    Material,
    Part,
    Parts,
    box,
    flat,
    lathe,
    moved,
    placement,
    sheet,
)
from data.recipes.tabletop.textures import Colour, Picture, glaze, wood


def printed_box(
    face: Picture,
    *,
    size: tuple[float, float, float] = (0.125, 0.045, 0.185),
    board: Colour = (176, 136, 92),
    seed: int = 0,
) -> Parts:
    """A cardboard box with `face` printed on its front; all other sides are bare board."""
    front, bare = Material(texture=face, gloss=0.25, shininess=25), Material(texture=cardboard(board, seed))
    return box(size, {"front": front, "other": bare}, telling=frozenset({"front"}))


def gable_carton(
    face: Picture, *, band: Colour = (44, 110, 190), width: float = 0.078, height: float = 0.16, seed: int = 0
) -> Parts:
    """A drink carton with a folded top; `face` is on its front, the other sides carry no picture."""
    shoulder, ridge, half = height * 0.82, height * 0.98, width / 2
    plain = Material(texture=carton_side(band), gloss=0.25, shininess=25)
    white = Material(texture=glaze((240, 241, 238), seed, variation=3), gloss=0.25, shininess=25)
    front = Material(texture=face, gloss=0.25, shininess=25)
    wrapper = {"front": front, "other": plain, "top": white}
    sides = box((width, width, shoulder), wrapper, telling=frozenset({"front"}))
    slope = [
        flat(
            (-half, -0.002, ridge),
            (width, 0, 0),
            (0, -half + 0.002, shoulder - ridge),
            Material(texture=glaze(band, seed), gloss=0.25),
        )
    ]
    slope += moved(slope, placement(yaw=180))
    fin = box((width, 0.006, 0.02), {"other": white})
    fins = moved(fin, placement(offset=(0, 0, ridge - 0.002)))
    t = np.linspace(0, 1, 10)
    across = np.linspace(-1, 1, 12)
    y = across[None] * (half * t[:, None] + 0.002 * (1 - t[:, None]))
    z = np.broadcast_to(ridge + (shoulder - ridge) * t[:, None], y.shape)
    gable = sheet(np.stack([np.full_like(y, half - 0.002), y, z], -1), white)
    return (*sides[:4], *slope, *fins, gable, gable.moved(placement(yaw=180)), sides[5])


def tea_tin(
    colour: Colour = (36, 84, 58),
    *,
    rim: Colour = (196, 156, 72),
    radius: float = 0.042,
    height: float = 0.115,
    seed: int = 0,
) -> Parts:
    """A round tin with a lid; one label on the front third, the rest plain."""
    paint, brass = (
        Material(texture=glaze(colour, seed), gloss=0.6, shininess=45),
        Material(texture=glaze(rim, seed), gloss=0.8, shininess=50),
    )
    body = lathe([(radius, height - 0.02), (radius, 0.003), (radius - 0.003, 0), (0, 0)], paint)
    lid = lathe(
        [
            (0, height),
            (radius - 0.002, height),
            (radius + 0.0015, height - 0.003),
            (radius + 0.0015, height - 0.02),
            (radius, height - 0.02),
        ],
        brass,
    )
    skin = radius + 0.0008
    label = lathe(
        [(skin, height - 0.027), (skin, 0.012)],
        Material(texture=tea_label(), gloss=0.2),
        arc=(-62, 62),
        sections=32,
        telling=True,
    )
    return body, lid, label


def book(
    cover: Picture, *, cloth: Colour, size: tuple[float, float, float] = (0.135, 0.026, 0.185), seed: int = 0
) -> Parts:
    """An upright closed book: `cover` on the front, spine at the left, plain cloth at the back, paper edges."""
    width, thick, height = size
    board, lip = 0.0032, 0.004
    binding, paper = (
        Material(texture=glaze(cloth, seed, variation=4), gloss=0.1, shininess=12),
        Material(texture=page_edges(seed)),
    )
    front = box(
        (width, board, height),
        {"front": Material(texture=cover, gloss=0.2, shininess=20), "other": binding},
        telling=frozenset({"front"}),
    )
    back = box((width, board, height), {"other": binding})
    spine = box((board, thick - 2 * board, height), {"other": binding})
    pages = box((width - lip - board, thick - 2 * board, height - 2 * lip), {"other": paper})
    shift = (thick - board) / 2
    return (
        *moved(front, placement(offset=(0, -shift, 0))),
        *moved(back, placement(offset=(0, shift, 0))),
        *moved(spine, placement(offset=(-(width - board) / 2, 0, 0))),
        *moved(pages, placement(offset=((board - lip) / 2, 0, lip))),
    )


def photo_frame(
    photo: Picture,
    *,
    size: tuple[float, float] = (0.17, 0.13),
    tint: Colour = (116, 66, 40),
    lean: float = 12.0,
    seed: int = 0,
) -> Parts:
    """A wooden frame leaning back on a prop: the photo in front, plain board behind."""
    width, height = size
    rail, depth = 0.015, 0.014
    dark: Colour = (tint[0] // 2, tint[1] // 2, tint[2] // 2)
    timber = {
        "other": Material(texture=wood(tint, dark, size=(128, 256), planks=1, seed=seed), gloss=0.35, shininess=30)
    }
    parts: list[Part] = []
    for z in (0.0, height - rail):
        parts += moved(box((width, depth, rail), timber), placement(offset=(0, 0, z)))
    for x in (-1, 1):
        parts += moved(
            box((rail, depth, height - 2 * rail), timber), placement(offset=(x * (width - rail) / 2, 0, rail))
        )
    inner_width, inner_height = width - 2 * rail, height - 2 * rail
    picture = Material(texture=photo, gloss=0.35, shininess=30)
    corner = (-inner_width / 2, -depth / 2 + 0.005, height - rail)
    parts.append(flat(corner, (inner_width, 0, 0), (0, 0, -inner_height), picture, telling=True))
    back = box((width - 0.006, 0.003, height - 0.006), {"other": Material(texture=cardboard(seed=seed))})
    parts += moved(back, placement(offset=(0, depth / 2 - 0.001, 0.003)))
    rise = depth / 2 * np.sin(np.deg2rad(lean))
    upright = moved(parts, placement(offset=(0, 0, rise), tilt=-lean))
    foot = height * 0.62
    reach = foot * np.sin(np.deg2rad(lean)) + depth / 2
    prop = box(
        (0.035, 0.003, foot / np.cos(np.deg2rad(lean + 4))),
        {"other": Material(texture=cardboard((150, 112, 74), seed))},
    )
    return *upright, *moved(prop, placement(offset=(0, 2 * reach + 0.008, 0.0005), tilt=lean + 4))
