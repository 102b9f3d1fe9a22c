"""`segment`: one question about one study, answered by a loaded segmenter; gates, quantities and provenance.

A segmenter says what it believes; here it is decided what counts as found. Nothing of a result depends on the clock, so
equal input gives an equal record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medseg.errors import InvalidInputError, SegmenterError, SeriesChoiceError
from medseg.inference.question import check_question
from medseg.inference.segmenter import Answer, AnsweredTarget, Segmenter, Turn
from medseg.study.finding import Finding, Status
from medseg.study.quantities import measure
from medseg.study.result import Provenance, SegmentationResult
from medseg.study.study import Study
from medseg.study.volume import Volume

_LISTED = 20
"""Most series a message lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentConfig:
    """Gates between what a segmenter says and what a result calls found."""

    presence_found: float = 0.5
    """Least probability that a structure is there at all, for it to be found."""
    presence_uncertain: float = 0.2
    """Least probability for it to be kept as uncertain; below, it is not found."""
    quality_found: float = 0.3
    """Least estimated overlap (IoU) of the mask with the truth, for it to be found; below, it is uncertain."""
    voxels_min: int = 1
    """Fewest voxels of a mask; with fewer the structure is not found, whatever the segmenter believes."""

    def __post_init__(self) -> None:
        if not 0 <= self.presence_uncertain <= self.presence_found <= 1 or not 0 <= self.quality_found <= 1:
            raise InvalidInputError(
                "SegmentConfig: expected 0 <= presence_uncertain <= presence_found <= 1 and quality_found of 0-1, found "
                f"{self.presence_uncertain}, {self.presence_found} and {self.quality_found}. Change them."
            )
        if self.voxels_min < 1:
            raise InvalidInputError(f"SegmentConfig: expected voxels_min of 1 and more, found {self.voxels_min}.")


def segment(
    segmenter: Segmenter,
    study: Study | Volume,
    question: str,
    history: Sequence[Turn] = (),
    *,
    series: str | None = None,
    config: SegmentConfig = SegmentConfig(),
) -> SegmentationResult:
    """The answer to `question`: masks on the voxels of the volume as given, with what was measured in them.

    `history` holds the earlier questions of the dialogue about the same volume, oldest first (`turn_of` makes a turn of
    a result). Where a study holds several volumes, `series` names one by its key; none is taken by guess. Research use
    only; not a medical device.

    Raises:
        InvalidInputError: the question is empty or too long, a mask of the history is of another grid, or the volume
            holds values that are no numbers.
        SeriesChoiceError: several volumes and none named, or the named one is not there; the message lists them.
        SegmenterError: the segmenter's answer contradicts itself; nothing of it is kept.
    """
    volume = _chosen_volume(study, series)
    _check_values(volume)
    asked, notices = check_question(question)
    turns = _checked_history(history, volume)
    answer = segmenter.answer(volume, asked, turns)
    _check_answer(answer, volume, segmenter.facts.name)
    findings, doubts = _gated(answer, volume, config)
    read = tuple(str(notice) for notice in study.notices) if isinstance(study, Study) else ()
    facts = segmenter.facts
    provenance = Provenance(
        segmenter=facts.name,
        weights_sha256=facts.weights_sha256,
        input_sha256=volume_sha256(volume),
        preprocessing=dict(answer.preprocessing),
        thresholds={name: float(value) for name, value in asdict(config).items()},
        versions={"vision3d-medseg": version("vision3d-medseg"), **facts.versions},
    )
    return SegmentationResult(
        question=asked,
        text=answer.text,
        findings=findings,
        volume=volume,
        provenance=provenance,
        warnings=(*read, *notices, *answer.warnings, *doubts),
    )


def turn_of(result: SegmentationResult) -> Turn:
    """A result as a turn of the dialogue, for the `history` of the next question."""
    masks = tuple(finding.mask for finding in result.findings)
    return Turn(question=result.question, answer=result.text, masks=masks)
