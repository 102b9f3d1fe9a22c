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
from medseg.study.windows import IntensityWindow, choose_window

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
                "SegmentConfig: expected 0 <= presence_uncertain <= presence_found <= 1, quality_found of 0-1, found "
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
    window: IntensityWindow | str | None = None,
    config: SegmentConfig = SegmentConfig(),
) -> SegmentationResult:
    """The answer to `question`: masks on the voxels of the volume as given, with what was measured in them.

    `history` holds the earlier questions of the dialogue about the same volume, oldest first (`turn_of` makes a turn of
    a result). Where a study holds several volumes, `series` names one by its key; none is taken by guess. `window` is
    the range of intensities to look at, or the name of one (see `choose_window`); None leaves it to the segmenter.
    Research use only; not a medical device.

    Raises:
        InvalidInputError: the question is empty or too long, a mask of the history is of another grid, the volume holds
            values that are no numbers, or the window is unknown or of another unit.
        SeriesChoiceError: several volumes and none named, or the named one is not there; the message lists them.
        SegmenterError: the segmenter's answer contradicts itself; nothing of it is kept.
    """
    volume = _chosen_volume(study, series)
    _check_values(volume)
    asked, notices = check_question(question)
    turns = _checked_history(history, volume)
    if window is None:
        answer = segmenter.answer(volume, asked, turns)
    else:
        answer = segmenter.answer(volume, asked, turns, window=choose_window(volume, override=window))
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


def segment_dialogue(
    segmenter: Segmenter,
    study: Study | Volume,
    questions: Sequence[str],
    *,
    series: str | None = None,
    window: IntensityWindow | str | None = None,
    config: SegmentConfig = SegmentConfig(),
) -> tuple[SegmentationResult, ...]:
    """The answers to `questions`, each asked with those before it as its history; see `segment`.

    Raises:
        InvalidInputError: there is no question; and what `segment` raises.
    """
    if not questions:
        raise InvalidInputError("Dialogue: expected at least one question, found none. Ask for a structure.")
    results: list[SegmentationResult] = []
    for question in questions:
        history = [turn_of(result) for result in results]
        results.append(segment(segmenter, study, question, history, series=series, window=window, config=config))
    return tuple(results)


def turn_of(result: SegmentationResult) -> Turn:
    """A result as a turn of the dialogue, for the `history` of the next question."""
    masks = tuple(finding.mask for finding in result.findings)
    return Turn(question=result.question, answer=result.text, masks=masks)


def volume_sha256(volume: Volume) -> str:
    """Hexadecimal SHA-256 of the voxels (their type, shape and bytes, slice k by slice k) and of their affine.

    Example:
        >>> from medseg.study.volume import volume_in_memory
        >>> values = np.arange(24).reshape(2, 3, 4)
        >>> one, other = volume_in_memory(values, np.eye(4)), volume_in_memory(np.asfortranarray(values), np.eye(4))
        >>> volume_sha256(one) == volume_sha256(other)
        True
    """
    kind = volume.voxels.dtype.newbyteorder("<")
    digest = hashlib.sha256(f"{kind.str} {volume.voxels.shape}\n".encode())
    for k in range(volume.shape[2]):
        # Columns first: contiguous in what the readers give.
        flat = volume.voxels[:, :, k].swapaxes(0, 1)
        digest.update(np.ascontiguousarray(flat, dtype=kind).data)
    digest.update(np.ascontiguousarray(volume.voxel_to_ras, dtype="<f8").data)
    return digest.hexdigest()


def _chosen_volume(study: Study | Volume, series: str | None) -> Volume:
    if isinstance(study, Volume):
        if series is not None:
            raise SeriesChoiceError("Study: expected a study to name a series of, found a volume. Leave out series.")
        return study
    if series is None and len(study.volumes) == 1:
        return study.volumes[0]
    pairs = zip(study.series, study.volumes, strict=True)
    matching = [volume for facts, volume in pairs if facts.key == series]
    if len(matching) == 1:
        return matching[0]
    lines = [f"  {facts.line()}" for facts in study.series[:_LISTED]]
    if len(study.series) > _LISTED:
        lines.append(f"  and {len(study.series) - _LISTED} more")
    found = "none named" if series is None else f"{len(matching)} of that name"
    listing = "\n".join(lines)
    raise SeriesChoiceError(
        f"Study: expected one series, found {len(study.volumes)}, {found}. Name one by its key, series=...:\n{listing}"
    )


def _check_values(volume: Volume) -> None:
    if volume.voxels.dtype.kind not in "iuf":
        raise InvalidInputError(f"Volume: expected numbers, found {volume.voxels.dtype}. Convert them first.")
    if volume.voxels.dtype.kind == "f":
        for k in range(volume.shape[2]):
            if not np.isfinite(volume.voxels[:, :, k]).all():
                raise InvalidInputError(
                    f"Volume: expected finite values, found NaN or infinity in slice k = {k}. Replace them first."
                )


def _checked_history(history: Sequence[Turn], volume: Volume) -> tuple[Turn, ...]:
    turns = tuple(history)
    for number, turn in enumerate(turns):
        for mask in turn.masks:
            if mask.shape != volume.shape or mask.dtype != bool:
                raise InvalidInputError(
                    f"History: expected masks of booleans on {volume.shape}, found {mask.dtype} of {mask.shape} in "
                    f"turn {number + 1} of {len(turns)}. Start a new dialogue for another volume."
                )
    return turns


def _check_answer(answer: Answer, volume: Volume, name: str) -> None:
    for number, target in enumerate(answer.targets):
        where = f"Segmenter {name!r}, target {number + 1} of {len(answer.targets)}"
        if target.mask.shape != volume.shape or target.mask.dtype != bool:
            raise SegmenterError(
                f"{where}: expected a mask of booleans on {volume.shape}, found {target.mask.dtype} of "
                f"{target.mask.shape}. Mend the segmenter."
            )
        if not (0 <= target.presence <= 1 and 0 <= target.quality <= 1):
            raise SegmenterError(
                f"{where}: expected presence and quality of 0-1, found {target.presence} and {target.quality}. "
                "Mend the segmenter."
            )
        if target.span is None:
            continue
        first, last = target.span
        if not 0 <= first < last <= len(answer.text) or answer.text[first:last] != target.label:
            raise SegmenterError(
                f"{where}: expected its label at characters {first} to {last} of an answer of {len(answer.text)}, "
                "found other text. Mend the segmenter."
            )


def _gated(answer: Answer, volume: Volume, config: SegmentConfig) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Findings in the order of the answer, and what speaks against a claim of the segmenter."""
    findings, doubts = [], []
    for target in answer.targets:
        status, doubt = _status(target, config)
        if doubt:
            doubts.append(f"{target.label}: {doubt}")
        mask = nothing_of(volume) if status == "not_found" else target.mask
        findings.append(
            Finding(
                label=target.label,
                status=status,
                mask=mask,
                presence=float(target.presence),
                quality=0.0 if status == "not_found" else float(target.quality),
                span=target.span,
                quantities=measure(mask, volume),
            )
        )
    return tuple(findings), tuple(doubts)


def _status(target: AnsweredTarget, config: SegmentConfig) -> tuple[Status, str]:
    if target.presence < config.presence_uncertain:
        text = f"the answer names it, but the picture shows no sign of it (chance {target.presence:.2f})."
        return "not_found", text if target.claimed else ""
    voxels = int(np.count_nonzero(target.mask))
    if voxels < config.voxels_min:
        text = f"said to be there, but its mask holds {voxels} voxel(s), fewer than {config.voxels_min}; not found."
        return "not_found", text if target.presence >= config.presence_found else ""
    if target.presence < config.presence_found:
        return "uncertain", ""
    if target.quality < config.quality_found:
        return "uncertain", f"found, but the estimated overlap of {target.quality:.2f} is low; uncertain."
    return "found", ""


def nothing_of(volume: Volume) -> Bool[ndarray, "i j k"]:
    """An empty mask of the volume's shape that takes no memory; read-only."""
    return np.broadcast_to(np.False_, volume.shape)
