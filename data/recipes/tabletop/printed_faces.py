"""Printed faces drawn with PIL: what is on a box, cover, label or dial. Text uses PIL's bundled font.

All are drawn three times too large and reduced, so lines are smooth; sizes are given as final pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data.recipes.tabletop.textures import Colour, Picture, smooth_noise

_OVERSIZE = 3
_CREAM = (250, 243, 224)
_INK = (38, 34, 40)


class Page:
    """A drawing surface in unit coordinates: x right and y down, both 0-1 over the picture."""

    def __init__(self, width: int, height: int, ground: Colour) -> None:
        self.width, self.height = width * _OVERSIZE, height * _OVERSIZE
        self.image = Image.new("RGB", (self.width, self.height), ground)
        self.pen = ImageDraw.Draw(self.image)

    def _pixels(self, points: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
        return [(point[0] * self.width, point[1] * self.height) for point in points]

    def polygon(self, points: Sequence[Sequence[float]], colour: Colour) -> None:
        """A filled polygon."""
        self.pen.polygon(self._pixels(points), fill=colour)

    def ellipse(self, centre: Sequence[float], radius: Sequence[float], colour: Colour) -> None:
        """A filled ellipse; radii are in the units of their axes."""
        low = (centre[0] - radius[0], centre[1] - radius[1])
        high = (centre[0] + radius[0], centre[1] + radius[1])
        self.pen.ellipse([*self._pixels([low])[0], *self._pixels([high])[0]], fill=colour)

    def disc(self, centre: Sequence[float], radius: float, colour: Colour) -> None:
        """A filled circle; the radius is in units of the width."""
        self.ellipse(centre, (radius, radius * self.width / self.height), colour)

    def line(self, points: Sequence[Sequence[float]], colour: Colour, thickness: float) -> None:
        """A stroke with rounded bends; thickness in units of the width."""
        width = max(1, round(thickness * self.width))
        self.pen.line(self._pixels(points), fill=colour, width=width, joint="curve")

    def text(self, words: str, centre: Sequence[float], height: float, colour: Colour) -> None:
        """Words centred on a point; `height` is the letter size in units of the picture's height."""
        font = ImageFont.load_default(size=height * self.height)
        stroke = round(height * self.height * 0.035)
        place = self._pixels([centre])[0]
        self.pen.text(place, words, fill=colour, font=font, anchor="mm", stroke_width=stroke, stroke_fill=colour)

    def picture(self) -> Picture:
        """The finished picture."""
        size = (self.width // _OVERSIZE, self.height // _OVERSIZE)
        return np.asarray(self.image.resize(size, Image.Resampling.BOX))


def cereal_face(colour: Colour = (247, 188, 32), title: str = "CRUNCHY", seed: int = 0) -> Picture:
    """Front of a cereal box: a title over a bowl full of rings and milk."""
    page = Page(190, 270, colour)
    for ray in range(16):
        a, b = np.pi * (2 * ray / 16), np.pi * (2 * ray + 1) / 16
        page.polygon([(0.5, 0.55), _on_circle(a, 1.2), _on_circle(b, 1.2)], (253, 214, 92))
    page.polygon([(0, 0.05), (1, 0.02), (1, 0.25), (0, 0.29)], (206, 42, 40))
    page.text(title, (0.5, 0.15), 0.115, (255, 255, 255))
    page.text("cereal", (0.5, 0.345), 0.105, (150, 30, 30))
    page.ellipse((0.5, 0.6), (0.39, 0.1), (255, 255, 255))
    page.polygon([(0.11, 0.6), (0.89, 0.6), (0.72, 0.86), (0.28, 0.86)], (46, 104, 186))
    page.ellipse((0.5, 0.86), (0.22, 0.035), (38, 86, 158))
    page.ellipse((0.5, 0.595), (0.36, 0.085), (252, 249, 240))
    rng = np.random.default_rng(seed)
    for _ in range(34):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 0.85))
        centre = (0.5 + 0.33 * reach * np.cos(angle), 0.59 + 0.075 * reach * np.sin(angle) - 0.015)
        page.disc(centre, 0.048, (196, 122, 42))
        page.disc((centre[0], centre[1] - 0.004), 0.019, (118, 66, 20))
    page.text("whole grain", (0.5, 0.935), 0.06, (120, 40, 20))
    return page.picture()


def fish_cover(colour: Colour = (26, 92, 138), fish: Colour = (250, 140, 44)) -> Picture:
    """Book cover with a big fish among bubbles."""
    page = Page(160, 220, colour)
    for row in range(4):
        waves = [(x / 20, 0.79 + 0.055 * row + 0.012 * np.sin(x * 1.3 + row)) for x in range(21)]
        page.line(waves, (70 + 25 * row, 150 + 16 * row, 190 + 10 * row), 0.022)
    page.text("THE FISH", (0.5, 0.13), 0.115, (255, 250, 235))
    page.polygon([(0.62, 0.47), (0.93, 0.32), (0.86, 0.47), (0.93, 0.62)], fish)
    page.ellipse((0.42, 0.47), (0.33, 0.155), fish)
    page.polygon([(0.34, 0.34), (0.55, 0.23), (0.58, 0.37)], (232, 104, 30))
    page.polygon([(0.38, 0.6), (0.5, 0.7), (0.56, 0.58)], (232, 104, 30))
    for x in (0.36, 0.5):
        page.line([(x, 0.34), (x + 0.03, 0.47), (x, 0.6)], (255, 236, 210), 0.05)
    page.disc((0.22, 0.43), 0.05, (255, 255, 255))
    page.disc((0.21, 0.43), 0.026, _INK)
    for x, y, radius in ((0.1, 0.3, 0.03), (0.16, 0.25, 0.02), (0.08, 0.22, 0.016)):
        page.disc((x, y), radius, (190, 226, 240))
    return page.picture()


def star_cover(colour: Colour = (122, 36, 58), figure: Colour = (246, 206, 84)) -> Picture:
    """Book cover with one large star."""
    page = Page(160, 220, colour)
    page.polygon(_star((0.5, 0.52), 0.33, 160 / 220), figure)
    page.text("STARS", (0.5, 0.14), 0.13, _CREAM)
    for edge in (0.035, 0.965):
        page.line([(0.05, edge), (0.95, edge)], figure, 0.014)
    page.text("a guide", (0.5, 0.88), 0.075, _CREAM)
    return page.picture()


def cow_face(band: Colour = (44, 110, 190)) -> Picture:
    """Side of a milk carton: a cow's head over the word MILK on a white ground with a blue base."""
    page = Page(150, 270, (246, 247, 244))
    page.polygon([(0, 0.7), (1, 0.62), (1, 1), (0, 1)], band)
    for side in (-1, 1):
        page.ellipse((0.5 + 0.36 * side, 0.23), (0.13, 0.05), _INK)
        page.ellipse((0.5 + 0.36 * side, 0.235), (0.075, 0.027), (240, 170, 170))
        page.polygon([(0.5 + 0.17 * side, 0.15), (0.5 + 0.27 * side, 0.06), (0.5 + 0.28 * side, 0.17)], (214, 190, 140))
    page.ellipse((0.5, 0.285), (0.29, 0.17), (255, 255, 255))
    page.ellipse((0.34, 0.225), (0.145, 0.1), _INK)
    page.ellipse((0.66, 0.225), (0.145, 0.1), _INK)
    page.polygon([(0.44, 0.12), (0.56, 0.12), (0.58, 0.4), (0.42, 0.4)], (255, 255, 255))
    page.ellipse((0.5, 0.41), (0.25, 0.085), (244, 172, 172))
    for side in (-1, 1):
        page.disc((0.5 + 0.155 * side, 0.235), 0.055, (255, 255, 255))
        page.disc((0.5 + 0.15 * side, 0.24), 0.03, (20, 16, 20))
        page.ellipse((0.5 + 0.1 * side, 0.405), (0.035, 0.018), (160, 84, 90))
    page.text("MILK", (0.5, 0.575), 0.125, band)
    page.text("fresh", (0.5, 0.84), 0.09, (255, 255, 255))
    return page.picture()


def carton_side(band: Colour = (44, 110, 190)) -> Picture:
    """The other sides of the carton: white over the same base colour, no picture and no word."""
    page = Page(60, 108, (244, 245, 242))
    page.polygon([(0, 0.68), (1, 0.68), (1, 1), (0, 1)], band)
    return page.picture()


def tea_label() -> Picture:
    """Label of a tea tin: two leaves and the word TEA on cream."""
    page = Page(200, 200, _CREAM)
    for edge in (0.05, 0.95):
        page.line([(0, edge), (1, edge)], (178, 136, 56), 0.03)
    page.text("TEA", (0.5, 0.71), 0.34, (28, 72, 48))
    for sign, colour in ((-1, (58, 138, 70)), (1, (92, 168, 84))):
        blade = [(0.5 + sign * (0.34 * t), 0.46 - 0.34 * t - 0.16 * np.sin(np.pi * t)) for t in np.linspace(0, 1, 12)]
        under = [(0.5 + sign * (0.34 * t), 0.46 - 0.34 * t + 0.13 * np.sin(np.pi * t)) for t in np.linspace(1, 0, 12)]
        page.polygon(blade + under, colour)
        page.line([(0.5, 0.46), (0.5 + sign * 0.27, 0.19)], (30, 90, 50), 0.014)
    return page.picture()


def sea_photo() -> Picture:
    """A framed photo: a sailing boat on the sea below an orange evening sky."""
    page = Page(220, 160, (255, 255, 255))
    for row in range(56):
        t = row / 55
        sky = (int(250 - 40 * t), int(150 + 62 * t), int(80 + 110 * t))
        page.polygon(
            [(0, 0.62 - 0.0112 * row), (1, 0.62 - 0.0112 * row), (1, 0.6 - 0.0112 * row), (0, 0.6 - 0.0112 * row)], sky
        )
    page.disc((0.74, 0.5), 0.11, (255, 236, 170))
    page.polygon([(0, 0.61), (1, 0.61), (1, 1), (0, 1)], (22, 92, 124))
    for row in range(9):
        y = 0.65 + 0.04 * row
        page.line([(x / 12, y + 0.012 * np.sin(2.2 * x + row)) for x in range(13)], (66, 146, 170), 0.009)
    page.polygon([(0.18, 0.7), (0.6, 0.7), (0.53, 0.82), (0.25, 0.82)], (128, 46, 34))
    page.line([(0.39, 0.7), (0.39, 0.12)], (90, 60, 40), 0.014)
    page.polygon([(0.405, 0.14), (0.405, 0.65), (0.63, 0.65)], (255, 252, 244))
    page.polygon([(0.375, 0.2), (0.375, 0.65), (0.2, 0.65)], (236, 226, 214))
    return page.picture()


def clock_dial(hour: float = 10.15) -> Picture:
    """Dial with twelve marks, four numbers and two hands; `hour` sets the time."""
    page = Page(200, 200, (252, 250, 240))
    for mark in range(60):
        inner = 0.40 if mark % 5 == 0 else 0.435
        angle = np.pi * mark / 30
        page.line([_around(angle, inner), _around(angle, 0.46)], _INK, 0.022 if mark % 5 == 0 else 0.008)
    for number, angle in ((12, 0.0), (3, 0.5), (6, 1.0), (9, 1.5)):
        page.text(str(number), _around(np.pi * angle, 0.31), 0.15, _INK)
    page.line([(0.5, 0.5), _around(np.pi * hour / 6, 0.22)], _INK, 0.045)
    page.line([(0.5, 0.5), _around(2 * np.pi * (hour % 1), 0.35)], _INK, 0.03)
    page.disc((0.5, 0.5), 0.035, (200, 44, 40))
    return page.picture()


def cardboard(colour: Colour = (176, 136, 92), seed: int = 0) -> Picture:
    """Plain brown board with faint flutes."""
    flutes = 3.5 * smooth_noise(128, 128, (20, 1.4), seed) + 4 * smooth_noise(128, 128, 14, seed + 1)
    return np.clip(np.asarray(colour, float) + flutes[..., None], 0, 255).astype(np.uint8)


def page_edges(seed: int = 0) -> Picture:
    """Edges of a block of paper: thin lines along u."""
    lines = 9 * smooth_noise(64, 64, (0.9, 40), seed)
    return np.clip(np.array([236.0, 228, 208]) + lines[..., None], 0, 255).astype(np.uint8)


def die_face(count: int, colour: Colour, pips: Colour = (250, 248, 240)) -> Picture:
    """One side of a die with 1-6 pips."""
    page = Page(64, 64, colour)
    low, mid, high = 0.25, 0.5, 0.75
    diagonal, other, sides = [(low, low), (high, high)], [(low, high), (high, low)], [(low, mid), (high, mid)]
    spots = [(mid, mid)] * (count % 2) + diagonal * (count > 1) + other * (count > 3) + sides * (count > 5)
    for spot in spots:
        page.disc(spot, 0.1, pips)
    return page.picture()


def iced_ring(dough: Colour, icing: Colour, edge: Callable[[float], float], seed: int = 0) -> Picture:
    """Skin of a doughnut: icing above the wavy `edge` (v as a function of u), with sprinkles; u once around."""
    page = Page(320, 160, dough)
    outline = [(u, edge(u)) for u in np.linspace(0, 1, 97)]
    page.polygon([(0, 0), *outline, (1, 0)], icing)
    rng = np.random.default_rng(seed)
    palette = [(255, 255, 255), (255, 214, 60), (70, 160, 230), (120, 200, 90), (214, 60, 70)]
    for number in range(90):
        u, v, turn = rng.uniform(0, 1), rng.uniform(0.02, 0.43), rng.uniform(0, np.pi)
        shift = (0.008 * np.cos(turn), 0.016 * np.sin(turn))
        ends = [(u - shift[0], v - shift[1]), (u + shift[0], v + shift[1])]
        page.line(ends, palette[number % len(palette)], 0.009)
    return page.picture()


def _on_circle(angle: float, radius: float) -> tuple[float, float]:
    return 0.5 + radius * float(np.cos(2 * angle)), 0.55 + radius * float(np.sin(2 * angle))


def _around(angle: float, radius: float) -> tuple[float, float]:
    return 0.5 + radius * float(np.sin(angle)), 0.5 - radius * float(np.cos(angle))


def _star(centre: Sequence[float], radius: float, aspect: float) -> list[tuple[float, float]]:
    reach = [radius if corner % 2 == 0 else 0.42 * radius for corner in range(10)]
    angles = np.pi * np.arange(10) / 5
    return [
        (centre[0] + r * float(np.sin(a)), centre[1] - r * aspect * float(np.cos(a)))
        for r, a in zip(reach, angles, strict=True)
    ]
