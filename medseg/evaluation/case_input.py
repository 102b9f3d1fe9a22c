"""Records as a segmenter sees them and as its answers are judged: the volume as any user would hand it in, its grid in
millimetres where those are known, and the reference masks on its voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medseg.errors import RecordError
from medseg.evaluation.score_turn import Grid
from medseg.io.read_study import ReadOptions, read_study
from medseg.study.volume import Volume
from medseg.training.records import Dialogue, QARecord, QATurn, load_mask

_MODALITIES = {"CT": "CT", "MR": "MR", "MRI": "MR"}
"""Words of records -> DICOM's, for volumes whose files do not say. Pictures are handed in without, as a user does."""
_UNNAMED_SET = "unnamed"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseInput:
    """One record, opened."""

    volume: Volume
    """What is asked about."""
    masks: dict[str, Bool[ndarray, "i j k"]]
    """Target -> its mask on the volume's voxels; those of empty masks too."""


def open_record(record: QARecord) -> CaseInput:
    """The volume and all masks of a record. A picture becomes a volume of one slice, i across and j down.

    Raises:
        StudyFileError: the picture or volume cannot be read.
        RecordError: a mask cannot be read, or is of another size.
    """
    modality = _MODALITIES.get(record.image.modality, "") if record.image.is_volume else ""
    volume = read_study(record.file(record.image.path), options=ReadOptions(modality=modality)).volume
    masks = {}
    for key in record.targets:
        mask = load_mask(record, key)
        placed = mask.T[:, :, None] if mask.ndim == 2 else mask
        if placed.shape != volume.shape:
            raise RecordError(
                f"Record {record.id}: expected the mask of {key} on {volume.shape} voxels, found {placed.shape}. "
                "Run `medseg validate` on the records."
            )
        masks[key] = np.ascontiguousarray(placed)
    return CaseInput(volume=volume, masks=masks)


def grid_of(record: QARecord, volume: Volume, *, tolerance_mm: float, tolerance_px: float) -> Grid:
    """Where the voxels lie: in millimetres by the file, else by the record's spacing of a picture, else in pixels."""
    affine, in_mm = volume.voxel_to_ras, volume.spacing_known
    spacing = record.image.spacing_mm
    if not in_mm and spacing is not None and len(spacing) == 2 and volume.space == "picture":
        affine, in_mm = np.diag([spacing[1], spacing[0], 1.0, 1.0]), True
    solid = in_mm and volume.space == "patient"
    return Grid(
        shape=volume.shape,
        voxel_to_ras=np.asarray(affine, dtype=np.float64),
        in_mm=in_mm,
        voxel_ml=volume.voxel_ml if solid else float("nan"),
        tolerance=tolerance_mm if in_mm else tolerance_px,
    )


def set_name(record: QARecord) -> str:
    """The data set of a record: `qa.set`, else `image.source.set`, else what id and patient both begin with up to a
    hyphen, else modality and body part.

    Example:
        >>> from medseg.training.records import ImageFacts
        >>> image = ImageFacts(path="a.png", modality="CT", body_part="chest")
        >>> one = QARecord(id="lungs-7", patient="lungs-p3", image=image, targets={}, conversations=())
        >>> set_name(one)
        'lungs'
    """
    for place in (record.qa, record.image.source or {}):
        if isinstance(place.get("set"), str) and place["set"]:
            return place["set"]
    (first, hyphen, _), (other, too, _) = record.id.partition("-"), record.patient.partition("-")
    if first and first == other and hyphen and too:
        return first
    return " ".join(part for part in (record.image.modality, record.image.body_part) if part) or _UNNAMED_SET


def questions_of(record: QARecord, dialogue: Dialogue) -> Iterator[tuple[QATurn, QATurn]]:
    """Each question of a dialogue with the reference answer.

    Raises:
        RecordError: user and assistant do not take turns, or an answer names a target that the record lacks.
    """
    if len(dialogue) % 2 or not dialogue:
        raise RecordError(
            f"Record {record.id}: expected pairs of question and answer, found {len(dialogue)} turns. Correct it."
        )
    for asked, answered in zip(dialogue[::2], dialogue[1::2], strict=True):
        if (asked.role, answered.role) != ("user", "assistant"):
            raise RecordError(f"Record {record.id}: expected user and assistant in turn, found another order.")
        missing = [key for key in answered.targets if key not in record.targets]
        if missing:
            raise RecordError(
                f"Record {record.id}: expected targets of the record, found {missing[0]!r} in an answer. Add it."
            )
        yield asked, answered
