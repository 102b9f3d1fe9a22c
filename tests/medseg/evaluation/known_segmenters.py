"""Records with known masks and segmenters whose scores on them are known by construction.

Each picture carries the number of its record in its first voxel, so a segmenter here can look its truth up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import nibabel
import numpy as np
from numpy import ndarray

from medseg.inference.segmenter import Answer, AnsweredTarget, SegmenterFacts, Turn
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow
from medseg.training.records import ImageFacts, MaskFacts, QARecord, QATurn, TargetFacts

HEIGHT, WIDTH = 40, 64
DEPTH = 6
SPACING = (1.0, 1.5, 2.5)
BOTH = "Mark the left lung and the right lung."
AGAIN = "Mark the right one of what you just marked."
ABSENT = "Is there a spleen?"
WORDS = "Which modality is this?"
LEFT, RIGHT = (slice(5, 15), slice(5, 25)), (slice(20, 36), slice(30, 50))
"""Rows and columns of the two targets; 10 x 20 and 16 x 20 pixels."""

DIALOGUE = (
    QATurn(role="user", text=BOTH, kind="multi", asked=("left lung", "right lung")),
    QATurn(
        role="assistant",
        text="Here are the <p>left lung</p> [SEG] and the <p>right lung</p> [SEG].",
        targets=("t1", "t2"),
    ),
    QATurn(role="user", text=AGAIN, kind="history", asked=("right lung",), refers_to=("t2",)),
    QATurn(role="assistant", text="This is the <p>right lung</p> [SEG].", targets=("t2",)),
    QATurn(role="user", text=ABSENT, kind="absent", asked=("spleen",)),
    QATurn(role="assistant", text="I see no spleen here."),
    QATurn(role="user", text=WORDS, kind="text"),
    QATurn(role="assistant", text="An X-ray."),
)
TARGETS = {
    key: TargetFacts(label=name, mask=MaskFacts(path=f"masks/{key}.png"))
    for key, name in (("t1", "left lung"), ("t2", "right lung"))
}


def target_masks() -> tuple[ndarray, ndarray]:
    """The two masks [row column]."""
    masks = np.zeros((2, HEIGHT, WIDTH), dtype=bool)
    masks[0][LEFT], masks[1][RIGHT] = True, True
    return masks[0], masks[1]


def picture_records(folder: Path, count: int = 4, patients: int = 3) -> list[QARecord]:
    """Pictures as PNG; their patients come round."""
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    for key, mask in zip(("t1", "t2"), target_masks(), strict=True):
        cv2.imwrite(str(folder / "masks" / f"{key}.png"), mask.astype(np.uint8) * 255)
    records = []
    for number in range(count):
        pixels = np.full((HEIGHT, WIDTH), 50, dtype=np.uint8)
        pixels[0, 0] = number
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
        records.append(
            QARecord(
                id=f"case-{number}",
                patient=f"p{number % patients}",
                image=ImageFacts(path=f"{number}.png", modality="X-ray", body_part="chest"),
                targets=TARGETS,
                conversations=(DIALOGUE,),
                folder=folder,
            )
        )
    return records


def volume_record(folder: Path, number: int = 9) -> QARecord:
    """The same two targets through all slices of a volume in millimetres, with their label map."""
    values = np.full((WIDTH, HEIGHT, DEPTH), 50, dtype=np.int16)
    values[0, 0, 0] = number
    labels = np.zeros(values.shape, dtype=np.uint8)
    for value, mask in enumerate(target_masks(), 1):
        labels[mask.T] = value
    affine = np.diag([*SPACING, 1.0])
    nibabel.save(nibabel.Nifti1Image(values, affine), folder / "volume.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, affine), folder / "labels.nii.gz")
    targets = {
        key: TargetFacts(label=one.label, mask=MaskFacts(path="labels.nii.gz", value=value))
        for value, (key, one) in enumerate(TARGETS.items(), 1)
    }
    return QARecord(
        id="volume",
        patient="p-volume",
        image=ImageFacts(path="volume.nii.gz", modality="MRI", body_part="brain"),
        targets=targets,
        conversations=(DIALOGUE,),
        folder=folder,
    )


def truth(question: str, volume: Volume) -> list[tuple[str, ndarray]]:
    """Names and masks of the reference answer to a question of the dialogue."""
    places = {"left lung": LEFT, "right lung": RIGHT}
    names = {BOTH: ["left lung", "right lung"], AGAIN: ["right lung"]}.get(question, [])
    found = []
    for name in names:
        mask = np.zeros(volume.shape, dtype=bool)
        rows, columns = places[name]
        mask[columns, rows] = True
        found.append((name, mask))
    return found


def answer_of(marked: str, masks: Sequence[ndarray], *, presence: float = 1.0, quality: float = 1.0) -> Answer:
    """An answer from its text with marks, a mask per [SEG]."""
    phrases = re.findall(r"<p>(.*?)</p>", marked)
    text = re.sub(r"</?p>| \[SEG\]", "", marked)
    targets, place = [], 0
    for phrase, mask in zip(phrases, masks, strict=True):
        place = text.index(phrase, place)
        span = (place, place + len(phrase))
        targets.append(AnsweredTarget(label=phrase, span=span, mask=mask, presence=presence, quality=quality))
        place = span[1]
    return Answer(text=text, targets=tuple(targets), preprocessing={})


def reference_text(question: str) -> str:
    """The reference answer with its marks."""
    return next(after.text for before, after in pairwise(DIALOGUE) if before.text == question)


class Perfect:
    """Gives the reference answers and the true masks; keeps what it was asked."""

    name = "perfect"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    @property
    def facts(self) -> SegmenterFacts:
        return SegmenterFacts(name=self.name, weights_sha256="", versions={})

    def masks(self, question: str, volume: Volume) -> list[ndarray]:
        return [mask for _, mask in truth(question, volume)]

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        self.asked.append((question, len(history)))
        return answer_of(reference_text(question), self.masks(question, volume))

    def ground_answer(
        self, volume: Volume, question: str, history: Sequence[Turn], said: str, window: IntensityWindow | None = None
    ) -> Answer:
        return answer_of(said, self.masks(question, volume))


class Empty(Perfect):
    """Says the reference answers and marks nothing."""

    name = "empty"

    def masks(self, question: str, volume: Volume) -> list[ndarray]:
        return [np.zeros(volume.shape, dtype=bool) for _ in truth(question, volume)]


class Swapping(Perfect):
    """Gives the masks of an answer in the wrong order."""

    name = "swapping"

    def masks(self, question: str, volume: Volume) -> list[ndarray]:
        return super().masks(question, volume)[::-1]


class Shifted(Perfect):
    """Marks everything two voxels further along i."""

    name = "shifted"

    def masks(self, question: str, volume: Volume) -> list[ndarray]:
        return [np.roll(mask, 2, axis=0) for mask in super().masks(question, volume)]


class Refusing(Perfect):
    """Says that nothing is there, whatever is asked."""

    name = "refusing"

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        return Answer(text="I cannot find it.", targets=(), preprocessing={})


class Claiming(Perfect):
    """Marks a spleen of 4 x 4 voxels in every answer, behind what is right; sure of it."""

    name = "claiming"

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        spleen = np.zeros(volume.shape, dtype=bool)
        spleen[56:60, 0:4] = True
        found = truth(question, volume)
        words = "".join(f"<p>{name}</p> [SEG] and " for name, _ in found)
        return answer_of(f"Here are {words}<p>spleen</p> [SEG].", [*(mask for _, mask in found), spleen])


class Copying(Perfect):
    """Marks a corner at first; afterwards repeats the last mask of its history."""

    name = "copying"

    def from_history(self, question: str, volume: Volume, history: Sequence[Turn]) -> list[ndarray]:
        corner = np.zeros(volume.shape, dtype=bool)
        corner[:3, :3] = True
        seen = [mask for turn in history for mask in turn.masks]
        return [seen[-1] if seen else corner for _ in truth(question, volume)]

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        return answer_of(reference_text(question), self.from_history(question, volume, history))

    def ground_answer(
        self, volume: Volume, question: str, history: Sequence[Turn], said: str, window: IntensityWindow | None = None
    ) -> Answer:
        return answer_of(said, self.from_history(question, volume, history))


class Breaking(Perfect):
    """Answers the second question with a mask of another grid."""

    name = "breaking"

    def masks(self, question: str, volume: Volume) -> list[ndarray]:
        masks = super().masks(question, volume)
        return [mask[1:] for mask in masks] if question == AGAIN else masks


class WordsOnly:
    """Answers as the perfect one does, and cannot be given an answer."""

    def __init__(self) -> None:
        self._whole = Perfect()

    @property
    def facts(self) -> SegmenterFacts:
        return SegmenterFacts(name="words only", weights_sha256="", versions={})

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        return self._whole.answer(volume, question, history, window)
