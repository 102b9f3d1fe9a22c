"""Pictures of answers: views side by side with the selection in its own colours, everything else dimmed and grey."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

OUTLINE = (255, 176, 0)
"""Amber, which reads on light and dark and for colour-blind eyes."""
_COLUMNS = 4
_GAP = 4
_DIMMED = 0.35
_PAPER, _INK = (246, 244, 240), (60, 60, 64)
_CAPTION_SHARE = 0.11
_LEAST_CAPTION = 20
_LATIN_END = 0x250


def highlighted(
    image: UInt8[ndarray, "height width 3"], mask: Bool[ndarray, "height width"]
) -> UInt8[ndarray, "height width 3"]:
    """The image with the masked pixels as they are, an outline around them, and the rest grey and dark."""
    grey = image.astype(np.float32).mean(2, keepdims=True)
    shown = np.where(mask[..., None], image, _DIMMED * grey).astype(np.uint8)
    width = max(1, round(min(mask.shape) / 128))
    shown[binary_dilation(mask, np.ones((3, 3), bool), iterations=width) & ~mask] = OUTLINE
    return shown


def marked(image: UInt8[ndarray, "height width 3"], x: float, y: float) -> UInt8[ndarray, "height width 3"]:
    """The image with a ring around a place."""
    picture = Image.fromarray(image)
    radius = max(3.0, min(picture.size) / 32)
    draw = ImageDraw.Draw(picture)
    for grow, colour in ((1.0, (0, 0, 0)), (0.0, (255, 255, 255))):
        reach = radius + grow
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=colour, width=2)
    return np.asarray(picture)


def answer_picture(tiles: Sequence[UInt8[ndarray, "height width 3"]], caption: str) -> UInt8[ndarray, "rows columns 3"]:
    """Views of one size in rows of four with a caption below."""
    height, width = tiles[0].shape[:2]
    columns = min(_COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    text = max(_LEAST_CAPTION, round(_CAPTION_SHARE * height))
    total = (columns * (width + _GAP) - _GAP, rows * (height + _GAP) + text)
    sheet = Image.new("RGB", total, _PAPER)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        sheet.paste(Image.fromarray(tile), (column * (width + _GAP), row * (height + _GAP)))
    _write_caption(sheet, caption, total[1] - text, text)
    return np.asarray(sheet)


def caption_of(question: str, status: str, relevance: float) -> str:
    """A calm sentence on the answer; a question in letters that the font lacks is left out."""
    known = all(ord(letter) < _LATIN_END and letter.isprintable() for letter in question)
    subject = f"“{question}”" if known else "This"
    if status == "not found":
        return f"{subject} is not in this scene."
    return f"{subject}: {status}, relevance {relevance:.2f}"


def _write_caption(sheet: Image.Image, caption: str, top: int, height: int) -> None:
    """One line, cut off with dots where it is too long."""
    font = ImageFont.load_default(size=round(0.6 * height))
    room = sheet.width - 2 * _GAP
    text = caption
    while len(text) > 1 and font.getlength(text) > room:
        text = text[:-2].rstrip() + "…"
    ImageDraw.Draw(sheet).text((_GAP, top + height / 2), text, fill=_INK, font=font, anchor="lm")
