"""`Segmenter`: what answers a question about one volume. Models implement it; `segment` and `segment_batch` call it.

`ForcedSegmenter` is one that also marks what an answer says that is given in words; evaluation asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from jaxtyping import Bool
from numpy import ndarray

from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One earlier question of the dialogue and what was answered."""

    question: str
    answer: str
    masks: tuple[Bool[ndarray, "i j k"], ...] = field(default=(), repr=False)
    """Masks of that answer on the volume's voxels, in the order of its phrases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterFacts:
    """What a segmenter is, for the record of each result."""

    name: str
    """Its name in the catalogue."""
    weights_sha256: str
    """Hash of its weights; empty where it has none."""
    versions: Mapping[str, str]
    """Versions of the packages that compute."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnsweredTarget:
    """One structure of an answer, before any gate."""

    label: str
    """The phrase as the answer has it."""
    span: tuple[int, int] | None
    """Where in the answer's text."""
    mask: Bool[ndarray, "i j k"]
    """On the volume's voxels."""
    presence: float
    """Probability that it is there at all, 0-1."""
    quality: float
    """Estimated overlap (IoU) with the truth, 0-1."""
    claimed: bool = False
    """Whether the answer's words say that it is there, whatever `presence` says; the gate tells where they disagree."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What a segmenter says."""

    text: str
    """The answer in words, without markup."""
    targets: tuple[AnsweredTarget, ...]
    """In the order the answer mentions them."""
    preprocessing: Mapping[str, str]
    """What was done to the intensities and the grid, as `window: lung (-1350..150 HU)`, for the record."""
    warnings: tuple[str, ...] = ()
    """What a person should know."""


@runtime_checkable
class Segmenter(Protocol):
    """A loaded model. Equal input gives equal answers, bit for bit, on one machine."""

    @property
    def facts(self) -> SegmenterFacts:
        """What it is."""
        ...

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        """The answer to `question` about `volume`.

        `window` is the caller's own; None leaves the choice to the segmenter. What was taken stands in the answer's
        `preprocessing`, and a segmenter that has no use for a window says so in its warnings.

        Raises:
            InvalidInputError: the question is empty, or the volume is of a kind it cannot read.
        """
        ...


@runtime_checkable
class ForcedSegmenter(Segmenter, Protocol):
    """A segmenter whose masks can be judged apart from its words: it marks what a given answer says."""

    def ground_answer(
        self, volume: Volume, question: str, history: Sequence[Turn], said: str, window: IntensityWindow | None = None
    ) -> Answer:
        """One target per [SEG] of `said`, the answer to `question` with its `<p>..</p> [SEG]` marks, in its order.

        Masks are as decoded, before any gate.

        Raises:
            InvalidInputError: the volume is of a kind it cannot read.
        """
        ...
