"""The colours of findings, the same in every picture, report and file: by place in the answer, seven in turn.

They are those of Okabe and Ito that show on black and on white, told apart with each kind of colour blindness. Past the
seventh finding they come round again, so every picture numbers its findings as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from medseg.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingColour:
    """A colour with its name in words."""

    name: str
    """As a person would say it."""
    rgb: tuple[int, int, int]
    """sRGB, 0-255 each."""

    @property
    def hex(self) -> str:
        """As `#56b4e9`."""
        return "#" + "".join(f"{value:02x}" for value in self.rgb)

    @property
    def dark_text(self) -> bool:
        """Whether black text reads better on it than white: its luminance is above that of a middle grey."""
        linear = [
            (value / 255 / 12.92) if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in self.rgb
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179


FINDING_COLOURS = (
    FindingColour(name="sky blue", rgb=(86, 180, 233)),
    FindingColour(name="orange", rgb=(230, 159, 0)),
    FindingColour(name="green", rgb=(0, 158, 115)),
    FindingColour(name="yellow", rgb=(240, 228, 66)),
    FindingColour(name="purple", rgb=(204, 121, 167)),
    FindingColour(name="vermilion", rgb=(213, 94, 0)),
    FindingColour(name="blue", rgb=(0, 114, 178)),
)
"""In the order of findings. Source: Okabe and Ito, Color Universal Design (2008), without its black."""


def finding_colour(number: int) -> FindingColour:
    """The colour of a finding, numbered from 1.

    Example:
        >>> finding_colour(1).name, finding_colour(8).name
        ('sky blue', 'sky blue')

    Raises:
        InvalidInputError: the number is below 1.
    """
    if number < 1:
        raise InvalidInputError(f"Finding: expected a number of 1 and more, found {number}. Count from 1.")
    return FINDING_COLOURS[(number - 1) % len(FINDING_COLOURS)]
