"""Named colours, each with a spread, so that `red` is learned from many reds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.recipes.tabletop.textures import Colour

NAMED: dict[str, tuple[Colour, ...]] = {
    "red": ((204, 40, 38), (178, 28, 44), (222, 62, 50)),
    "green": ((44, 128, 64), (96, 158, 60), (30, 96, 66), (136, 178, 58)),
    "blue": ((40, 86, 184), (58, 126, 204), (26, 58, 122)),
    "yellow": ((244, 204, 48), (236, 188, 60), (250, 218, 96)),
    "orange": ((232, 124, 40), (240, 146, 56), (214, 104, 34)),
    "purple": ((126, 66, 160), (150, 92, 176), (94, 50, 124)),
    "pink": ((240, 138, 178), (228, 104, 152), (248, 172, 196)),
    "white": ((246, 244, 238), (238, 236, 230)),
    "black": ((34, 34, 38), (48, 46, 48)),
    "brown": ((128, 82, 48), (102, 62, 36), (152, 104, 64)),
    "grey": ((136, 138, 142), (110, 112, 116), (164, 166, 168)),
    "turquoise": ((44, 156, 156), (70, 180, 174)),
}
_SPREAD = 10.0


def draw_colour(
    rng: np.random.Generator, names: Sequence[str] | None = None, *, other_than: str = ""
) -> tuple[str, Colour]:
    """A name and a colour it stands for."""
    choice = [name for name in (names or tuple(NAMED)) if name != other_than]
    name = choice[int(rng.integers(len(choice)))]
    return name, shade_of(rng, name)


def blended(first: Colour, second: Colour, share: float) -> Colour:
    """The first colour with a share of the second."""
    red, green, blue = (int((1 - share) * a + share * b) for a, b in zip(first, second, strict=True))
    return red, green, blue


def shade_of(rng: np.random.Generator, name: str) -> Colour:
    """A colour the name stands for."""
    anchors = NAMED[name]
    spread = _SPREAD * (0.5 if name in ("white", "black", "grey") else 1.0)
    base = np.asarray(anchors[int(rng.integers(len(anchors)))], float)
    values = np.clip(base + rng.uniform(-spread, spread, 3) + rng.uniform(-spread, spread), 0, 255)
    red, green, blue = (int(value) for value in values)
    return red, green, blue
