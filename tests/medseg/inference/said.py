"""`SaidSegmenter`: a segmenter that says what a test gives it, to see what `segment` makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from medseg.inference.segmenter import Answer, AnsweredTarget, SegmenterFacts, Turn
from medseg.study.volume import Volume, volume_in_memory
from medseg.study.windows import IntensityWindow


@dataclass(slots=True)
class SaidSegmenter:
    """Gives one answer, and remembers what it was asked."""

    said: Answer
    questions: list[str] = field(default_factory=list)
    histories: list[tuple[Turn, ...]] = field(default_factory=list)
    windows: list[IntensityWindow | None] = field(default_factory=list)
    facts: SegmenterFacts = field(
        default_factory=lambda: SegmenterFacts(name="said", weights_sha256="0a1b", versions={"numpy": "9.9"})
    )

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        """The given answer."""
        self.windows.append(window)
        self.questions.append(question)
        self.histories.append(tuple(history))
        return self.said


def target(
    label: str, mask: ndarray, presence: float = 0.9, quality: float = 0.8, span: tuple[int, int] | None = None
) -> AnsweredTarget:
    """A target, sure of itself."""
    return AnsweredTarget(label=label, span=span, mask=mask, presence=presence, quality=quality)


def answer(text: str, *targets: AnsweredTarget, warnings: tuple[str, ...] = ()) -> Answer:
    """An answer without preprocessing to speak of."""
    return Answer(text=text, targets=targets, preprocessing={"window": "own"}, warnings=warnings)


def small_volume() -> Volume:
    """4 x 5 x 6 numbered voxels."""
    return volume_in_memory(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.diag([1.0, 2.0, 3.0, 1.0]), unit="HU")


def some_mask(voxels: int = 4) -> ndarray:
    """A mask on `small_volume` with a few voxels in one row."""
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[1, 2, :voxels] = True
    return mask
