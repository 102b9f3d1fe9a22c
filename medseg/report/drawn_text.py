"""Text inside pictures, with the one font that Pillow carries. It knows plain Latin letters and few more.

What it cannot draw is never drawn as an empty box: accents are left off, or other words stand instead, and the caller
learns which, to say so.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from medseg.report.result_words import visible_text

Faithful = Literal["exact", "without accents", "replaced"]
_NOT_A_CHARACTER = "\U0010ffff"
"""No font knows it, so it is drawn as the box of an unknown one."""
_PROBE_HEIGHT = 16
_DOTS = "..."
_LONGEST = 400
"""Characters that are looked at for one line; measuring long texts is slow, and no line holds so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnWords:
    """What is drawn for a text."""

    text: str
    """In characters the font has."""
    faithful: Faithful
    """How it differs from what was asked for."""


@cache
def font_of(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, `height` pixels high."""
    return ImageFont.load_default(height)


def drawable_words(text: str, instead: str) -> DrawnWords:
    """The text if the font has each character, else without its accents, else `instead`.

    Example:
        >>> drawable_words("foie", "finding 1")
        DrawnWords(text='foie', faithful='exact')
        >>> drawable_words("lésion", "finding 1")
        DrawnWords(text='lesion', faithful='without accents')
        >>> drawable_words("肝臓", "finding 1")
        DrawnWords(text='finding 1', faithful='replaced')
    """
    line = " ".join(visible_text(text).split())
    if _has_all(line):
        return DrawnWords(text=line, faithful="exact")
    bare = "".join(mark for mark in unicodedata.normalize("NFKD", line) if not unicodedata.combining(mark))
    if _has_all(bare):
        return DrawnWords(text=bare, faithful="without accents")
    return DrawnWords(text=instead, faithful="replaced")


def text_width(text: str, height: int) -> int:
    """Pixels a line takes."""
    return round(font_of(height).getlength(text))


def wrapped(text: str, height: int, width: int, lines: int) -> list[str]:
    """The text in at most `lines` lines of `width` pixels; what does not fit ends in three dots.

    Example:
        >>> wrapped("a b", 16, 1000, 1)
        ['a b']
    """
    rows = [""]
    for word in text[: _LONGEST * lines].split():
        longer = f"{rows[-1]} {word}".strip()
        if text_width(longer, height) <= width or not rows[-1]:
            rows[-1] = longer
        elif len(rows) < lines:
            rows.append(word)
        else:
            rows[-1] = f"{longer}{_DOTS}"  # too wide, so it is cut below
            break
    return [shortened(row, height, width) for row in rows]


def shortened(text: str, height: int, width: int) -> str:
    """One line of at most `width` pixels, with three dots where it was cut."""
    if len(text) <= _LONGEST and text_width(text, height) <= width:
        return text
    kept = bisect_right(
        range(min(len(text), _LONGEST)), width, key=lambda length: text_width(text[:length].rstrip() + _DOTS, height)
    )
    return text[: max(0, kept - 1)].rstrip() + _DOTS


def _has_all(text: str) -> bool:
    return all(character == " " or _has(character) for character in text)


@cache
def _has(character: str) -> bool:
    unknown, known = (_drawn(one) for one in (_NOT_A_CHARACTER, character))
    return known.tobytes() != unknown.tobytes()


def _drawn(character: str) -> Image.Image:
    """The character alone, white on black."""
    font = font_of(_PROBE_HEIGHT)
    picture = Image.new("L", (2 * _PROBE_HEIGHT, 2 * _PROBE_HEIGHT))
    ImageDraw.Draw(picture).text((_PROBE_HEIGHT // 2, 0), character, fill=255, font=font)
    return picture
