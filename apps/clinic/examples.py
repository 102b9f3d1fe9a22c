"""Studies to begin with, and the model that is asked by default. A new example is one line here."""

from __future__ import annotations

from dataclasses import dataclass

from apps.clinic.dialogue import Dialogue
from apps.clinic.open_study import open_path
from medseg.demo import DEMO_QUESTIONS, DEMO_STUDY
from medseg.errors import InvalidInputError
from medseg.inference.catalogue import SEGMENTERS
from vlm_bridge.assets import asset_path

_PREFERRED = "medsegr-tiny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An embedded study with questions to try."""

    asset: str
    """Name in the manifest of embedded assets."""
    file: str
    """File inside the asset; empty for the asset itself."""
    title: str
    """What the page calls it."""
    questions: tuple[str, ...]
    """To try one after the other."""


EXAMPLES: dict[str, Example] = {
    "chest radiograph (drawn)": Example(
        asset=DEMO_STUDY,
        file="phantom.png",
        title="Example: a drawn chest radiograph, nobody's body",
        questions=DEMO_QUESTIONS,
    ),
    "chest CT (drawn)": Example(
        asset="chest_phantom",
        file="series.zip",
        title="Example: a drawn chest in CT, nobody's body",
        questions=("Where are the lungs?", "the largest part of it", "Is there metal?"),
    ),
}
"""Name on the page -> study."""


def open_example(name: str) -> Dialogue:
    """A dialogue about an embedded study.

    Raises:
        InvalidInputError: there is no such example.
        AssetError: its file is missing or damaged.
    """
    if name not in EXAMPLES:
        raise InvalidInputError(f"Example: expected one of {', '.join(EXAMPLES)}, found {name!r}. Choose one.")
    example = EXAMPLES[name]
    return open_path(asset_path(example.asset) / example.file, title=example.title, questions=example.questions)


def default_segmenter() -> str:
    """Name of the model that is asked where none is named: the embedded one where it is there, else the rules."""
    return _PREFERRED if _PREFERRED in SEGMENTERS else "classical"
