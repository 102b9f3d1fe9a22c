"""`PictureFacts`: what is known of a picture; and the exchanges and conversations that are written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool
from numpy import ndarray

from medseg.errors import InvalidInputError
from medseg.training.question_writer.structures import structure
from medseg.training.records import Kind

Mask = Bool[ndarray, "height width"] | Bool[ndarray, "i j k"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureFacts:
    """What questions can be written from."""

    modality: str
    """`CT`, `MRI`, `X-ray`, `ultrasound`, `endoscopy`, `histology`, `microscopy`, `electron microscopy`,
    `fundus photograph` or `photograph`."""
    body_part: str
    """As in the tables: `chest`, `abdomen`, `heart`, `brain`, `eye`, `blood`, ..."""
    masks: Mapping[str, Mask]
    """Name of the table -> mask on the picture [row column] or volume; an empty one is known to be absent."""
    complete: bool = True
    """Whether pixels without a mask show nothing of the tables."""
    mirrored: bool = False
    """Whether left and right were swapped: then nothing is asked about the patient's sides."""
    seen_share: float = 0.001
    """A structure counts as seen from this share of the picture on; below it nothing is asked about it."""

    def __post_init__(self) -> None:
        shapes = {mask.shape for mask in self.masks.values()}
        if len(shapes) > 1:
            raise InvalidInputError(f"PictureFacts: expected masks of one shape, found {sorted(shapes)}. Resize them.")
        for name in self.masks:
            structure(name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenTarget:
    """Something an answer marks."""

    label: str
    """As between <p> and </p>."""
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exchange:
    """A question and its answer."""

    kind: Kind
    question: str
    answer: str
    """In phrase form, one [SEG] per target."""
    wording: str
    """Ids of the wordings it was made of, joined by `+`."""
    targets: tuple[WrittenTarget, ...] = field(default=(), repr=False)
    asked: tuple[str, ...] = ()
    """Names of what was asked for, there or not."""
    refers_to: tuple[tuple[int, int], ...] = ()
    """Of a `history` question: number of the earlier exchange, and of its target, that it builds upon."""


Conversation = tuple[Exchange, ...]
"""Exchanges about one picture, in order."""
