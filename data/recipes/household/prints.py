"""Pictures printed on covers, boxes, frames and cartons: what each figure shows, and how it is drawn.

No two prints of a figure are alike: it is mirrored, stretched, tilted, moved and tinted a bit, on a ground of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from data.recipes.household.palette import blended
from data.recipes.tabletop.printed_faces import Page
from data.recipes.tabletop.textures import Colour, Picture

Rng = np.random.Generator
_WHITE, _INK = (250, 248, 240), (36, 32, 38)
_BACKDROPS = ("plain", "plain", "gradient", "rays", "stripes", "dots", "waves")


class _VariedPage(Page):
    """A page that draws everything but text a little differently each time."""

    def __init__(self, width: int, height: int, ground: Colour, rng: Rng) -> None:
        super().__init__(width, height, ground)
        mirror = -1.0 if rng.random() < 0.5 else 1.0
        turn, size = np.deg2rad(rng.uniform(-9, 9)), rng.uniform(0.82, 1.1)
        stretch = np.diag([mirror * size * rng.uniform(0.9, 1.1), size * rng.uniform(0.9, 1.1)])
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        self._matrix = turned @ stretch
        self._radius_scale = np.abs(np.diag(stretch))
        self._middle = np.array([0.5, 0.54])
        self._shift = rng.uniform(-0.05, 0.05, 2)
        self._tint = rng.uniform(-16, 16, 3)
        self.steady = False
        """While true, things are drawn as they are told."""

    def _moved(self, points: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
        if self.steady:
            return [(point[0], point[1]) for point in points]
        moved = (np.asarray(points, float) - self._middle) @ self._matrix.T + self._middle + self._shift
        return [(float(x), float(y)) for x, y in moved]

    def _tinted(self, colour: Colour) -> Colour:
        if self.steady:
            return colour
        red, green, blue = (
            int(np.clip(value + shift, 0, 255)) for value, shift in zip(colour, self._tint, strict=True)
        )
        return red, green, blue

    def polygon(self, points: Sequence[Sequence[float]], colour: Colour) -> None:
        """A filled polygon."""
        super().polygon(self._moved(points), self._tinted(colour))

    def ellipse(self, centre: Sequence[float], radius: Sequence[float], colour: Colour) -> None:
        """A filled ellipse with level axes."""
        wide, tall = (1.0, 1.0) if self.steady else self._radius_scale
        super().ellipse(self._moved([centre])[0], (radius[0] * wide, radius[1] * tall), self._tinted(colour))

    def line(self, points: Sequence[Sequence[float]], colour: Colour, thickness: float) -> None:
        """A stroke with rounded bends."""
        super().line(self._moved(points), self._tinted(colour), thickness)


def _draw_backdrop(page: Page, ground: Colour, rng: Rng) -> None:
    """Shades of the ground, so that its colour keeps its name."""
    kind = _BACKDROPS[int(rng.integers(len(_BACKDROPS)))]
    other = blended(ground, _WHITE if rng.random() < 0.6 else _INK, rng.uniform(0.1, 0.3))
    count = int(rng.integers(4, 10))
    if kind == "gradient":
        for row in range(24):
            low, high = row / 24, (row + 1) / 24
            page.polygon([(0, low), (1, low), (1, high), (0, high)], blended(ground, other, row / 23))
    elif kind == "rays":
        for ray in range(count):
            a, b = (2 * np.pi * (ray + half) / count for half in (0.0, 0.5))
            ends = [(0.5 + 1.2 * float(np.cos(angle)), 0.5 + 1.2 * float(np.sin(angle))) for angle in (a, b)]
            page.polygon([(0.5, 0.5), *ends], other)
    elif kind == "stripes":
        for low in np.arange(count) / count:
            page.polygon([(0, low), (1, low), (1, low + 0.5 / count), (0, low + 0.5 / count)], other)
    elif kind != "plain":
        _draw_marks(page, kind, count, other, rng)


def _draw_marks(page: Page, kind: str, count: int, colour: Colour, rng: Rng) -> None:
    """Dots or waves."""
    if kind == "dots":
        for x, y, radius in rng.uniform((0, 0, 0.01), (1, 1, 0.045), (3 * count, 3)):
            page.disc((float(x), float(y)), float(radius), colour)
    else:
        for row in range(count):
            page.line(_wave((row + 0.5) / count, 0.012), colour, 0.02)


def _wave(start: float, height: float, count: int = 16) -> list[tuple[float, float]]:
    return [(x / count, start + height * float(np.sin(1.3 * x))) for x in range(count + 1)]


def _tree(page: Page, ink: Colour, accent: Colour) -> None:
    page.polygon([(0.45, 0.6), (0.55, 0.6), (0.58, 0.85), (0.42, 0.85)], (112, 72, 40))
    for level in range(3):
        top = 0.24 + 0.13 * level
        page.polygon([(0.5, top), (0.28 - 0.04 * level, top + 0.22), (0.72 + 0.04 * level, top + 0.22)], (40, 130, 66))
    page.line([(0.05, 0.86), (0.95, 0.86)], accent, 0.03)


def _house(page: Page, ink: Colour, accent: Colour) -> None:
    page.polygon([(0.24, 0.52), (0.76, 0.52), (0.76, 0.84), (0.24, 0.84)], _WHITE)
    page.polygon([(0.16, 0.53), (0.5, 0.28), (0.84, 0.53)], (190, 52, 44))
    page.polygon([(0.44, 0.65), (0.56, 0.65), (0.56, 0.84), (0.44, 0.84)], (110, 70, 40))
    for x in (0.33, 0.67):
        page.disc((x, 0.62), 0.05, (90, 150, 210))


def _sun(page: Page, ink: Colour, accent: Colour) -> None:
    for ray in range(12):
        angle = np.pi * ray / 6
        page.line(
            [(0.5, 0.54), (0.5 + 0.4 * float(np.cos(angle)), 0.54 + 0.3 * float(np.sin(angle)))], (250, 170, 40), 0.03
        )
    page.disc((0.5, 0.54), 0.24, (252, 214, 60))


def _heart(page: Page, ink: Colour, accent: Colour) -> None:
    turn = np.linspace(0, 2 * np.pi, 40)
    x = 0.5 + 0.022 * 16 * np.sin(turn) ** 3
    y = 0.52 - 0.017 * (13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn))
    page.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), (222, 46, 66))


def _flower(page: Page, ink: Colour, accent: Colour) -> None:
    page.line([(0.5, 0.5), (0.52, 0.9)], (50, 130, 60), 0.035)
    for petal in range(6):
        angle = np.pi * petal / 3
        page.disc((0.5 + 0.17 * float(np.cos(angle)), 0.46 + 0.13 * float(np.sin(angle))), 0.105, (240, 120, 170))
    page.disc((0.5, 0.46), 0.09, (250, 206, 60))


def _moon(page: Page, ink: Colour, accent: Colour) -> None:
    page.disc((0.48, 0.52), 0.27, (250, 232, 150))
    page.disc((0.6, 0.47), 0.23, ink)
    for x, y in ((0.75, 0.3), (0.82, 0.62), (0.2, 0.28), (0.7, 0.8)):
        page.disc((x, y), 0.02, _WHITE)


def _mountain(page: Page, ink: Colour, accent: Colour) -> None:
    page.polygon([(0.0, 0.86), (0.36, 0.32), (0.7, 0.86)], (92, 104, 122))
    page.polygon([(0.4, 0.86), (0.72, 0.44), (1.0, 0.86)], (70, 82, 100))
    page.polygon([(0.27, 0.46), (0.36, 0.32), (0.45, 0.46), (0.36, 0.5)], _WHITE)
    page.polygon([(0, 0.85), (1, 0.85), (1, 1), (0, 1)], (66, 130, 70))


def _car(page: Page, ink: Colour, accent: Colour) -> None:
    page.polygon([(0.1, 0.56), (0.9, 0.56), (0.9, 0.7), (0.1, 0.7)], (206, 50, 46))
    page.polygon([(0.26, 0.57), (0.34, 0.43), (0.66, 0.43), (0.76, 0.57)], (150, 200, 226))
    for x in (0.28, 0.72):
        page.disc((x, 0.71), 0.09, _INK)
        page.disc((x, 0.71), 0.04, (190, 190, 194))


def _bird(page: Page, ink: Colour, accent: Colour) -> None:
    page.ellipse((0.48, 0.56), (0.26, 0.14), (70, 130, 210))
    page.disc((0.7, 0.44), 0.12, (70, 130, 210))
    page.polygon([(0.81, 0.42), (0.95, 0.46), (0.81, 0.49)], (240, 160, 40))
    page.polygon([(0.24, 0.56), (0.04, 0.44), (0.08, 0.64)], (40, 90, 170))
    page.disc((0.73, 0.42), 0.025, _WHITE)
    page.line([(0.44, 0.69), (0.42, 0.8)], (200, 120, 40), 0.025)


def _fish(page: Page, ink: Colour, accent: Colour) -> None:
    for row in range(3):
        page.line(_wave(0.8 + 0.06 * row, 0.012), (90, 170, 210), 0.022)
    page.polygon([(0.62, 0.5), (0.92, 0.36), (0.86, 0.5), (0.92, 0.64)], (246, 142, 46))
    page.ellipse((0.42, 0.5), (0.3, 0.14), (246, 142, 46))
    page.polygon([(0.36, 0.4), (0.52, 0.29), (0.56, 0.41)], (228, 104, 32))
    page.line([(0.42, 0.38), (0.45, 0.5), (0.42, 0.62)], (255, 236, 210), 0.045)
    page.disc((0.24, 0.47), 0.042, _WHITE)
    page.disc((0.235, 0.47), 0.022, _INK)


def _star(page: Page, ink: Colour, accent: Colour) -> None:
    reach = [0.34 if corner % 2 == 0 else 0.14 for corner in range(10)]
    points = [
        (0.5 + r * float(np.sin(np.pi * i / 5)), 0.54 - r * page.width / page.height * float(np.cos(np.pi * i / 5)))
        for i, r in enumerate(reach)
    ]
    page.polygon(points, (248, 208, 80))


def _boat(page: Page, ink: Colour, accent: Colour) -> None:
    page.polygon([(0, 0), (1, 0), (1, 0.64), (0, 0.64)], (244, 176, 110))
    page.disc((0.76, 0.5), 0.1, (255, 236, 170))
    page.polygon([(0, 0.62), (1, 0.62), (1, 1), (0, 1)], (26, 96, 130))
    for row in range(5):
        page.line(_wave(0.68 + 0.06 * row, 0.01), (70, 150, 176), 0.01)
    page.polygon([(0.18, 0.72), (0.6, 0.72), (0.53, 0.83), (0.25, 0.83)], (130, 48, 36))
    page.polygon([(0.41, 0.14), (0.41, 0.67), (0.64, 0.67)], _WHITE)
    page.polygon([(0.37, 0.2), (0.37, 0.67), (0.2, 0.67)], (232, 222, 210))


def _cow(page: Page, ink: Colour, accent: Colour) -> None:
    for side in (-1, 1):
        page.ellipse((0.5 + 0.35 * side, 0.3), (0.13, 0.05), _INK)
        page.polygon([(0.5 + 0.17 * side, 0.23), (0.5 + 0.27 * side, 0.14), (0.5 + 0.28 * side, 0.25)], (214, 190, 140))
    page.ellipse((0.5, 0.4), (0.29, 0.18), _WHITE)
    page.ellipse((0.33, 0.32), (0.14, 0.1), _INK)
    page.ellipse((0.67, 0.32), (0.14, 0.1), _INK)
    page.ellipse((0.5, 0.52), (0.25, 0.09), (244, 172, 172))
    for side in (-1, 1):
        page.disc((0.5 + 0.15 * side, 0.34), 0.05, _WHITE)
        page.disc((0.5 + 0.15 * side, 0.345), 0.027, _INK)


FIGURES: dict[str, tuple[Callable[[Page, Colour, Colour], None], tuple[str, ...]]] = {
    "tree": (_tree, ("tree", "green tree")),
    "house": (_house, ("house", "house with a red roof")),
    "sun": (_sun, ("sun", "yellow sun")),
    "heart": (_heart, ("heart", "red heart")),
    "flower": (_flower, ("flower", "pink flower")),
    "moon": (_moon, ("moon", "night sky")),
    "mountain": (_mountain, ("mountain", "mountains")),
    "car": (_car, ("car", "red car")),
    "bird": (_bird, ("bird", "blue bird")),
    "fish": (_fish, ("fish", "orange fish")),
    "star": (_star, ("star", "golden star")),
    "boat": (_boat, ("sailing boat", "boat", "sea")),
    "cow": (_cow, ("cow",)),
}
"""Figure -> (how it is drawn, what it is called)."""


def printed_picture(
    figure: str,
    size: tuple[int, int],
    ground: Colour,
    rng: Rng,
    *,
    title: str = "",
    letters: Colour = _WHITE,
    base: Colour | None = None,
) -> Picture:
    """A page of `ground` with the figure, a title above or below, and a band of colour below."""
    page = _VariedPage(*size, ground, rng)
    page.steady = True
    _draw_backdrop(page, ground, rng)
    if base is not None:
        page.polygon([(0, 0.72), (1, 0.64), (1, 1), (0, 1)], base)
    if rng.random() < 0.25:
        for edge in (0.03, 0.97):
            page.line([(0.04, edge), (0.96, edge)], letters, 0.014)
    page.steady = False
    FIGURES[figure][0](page, ground, letters)
    page.steady = True
    if title and rng.random() < 0.85:
        place = 0.12 if rng.random() < 0.75 else 0.9
        page.text(title, (0.5, place), rng.uniform(0.09, 0.13), letters)
    return page.picture()
