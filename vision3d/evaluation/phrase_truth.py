"""`PhraseTruth`: what a phrase means in one view, and the camera that an annotated view belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from jaxtyping import Bool, Float
from torch import Tensor

from vision3d.errors import InvalidInputError, UnknownViewError


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseTruth:
    """One pair of a view and a phrase."""

    view_name: str
    """The annotated view."""
    phrase: str
    """What is asked for."""
    mask: Bool[Tensor, "height width"]
    """Every pixel of every thing the phrase means."""
    boxes: Float[Tensor, "box 4"]
    """Left, top, right, bottom of each of these things, edges included."""

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise InvalidInputError(
                f"PhraseTruth of {self.phrase!r} in {self.view_name}: expected a mask [height width] and boxes "
                f"[box 4], found shapes {tuple(self.mask.shape)} and {tuple(self.boxes.shape)}. Give these."
            )


def find_views(truths: Sequence[PhraseTruth], names: Sequence[str]) -> list[PhraseTruth]:
    """The truths under the names that their views have among the cameras.

    A view is the camera of the same name; without one, the camera whose name is the same up to folder and ending
    (`frame_00041.jpg` and `images/frame_00041.png`).

    Raises:
        UnknownViewError: an annotated view has no camera, or several.
    """
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(_stem(name), []).append(name)
    found = {}
    for view in dict.fromkeys(truth.view_name for truth in truths):
        fitting = [view] if view in names else by_stem.get(_stem(view), [])
        if len(fitting) != 1:
            what = (
                f"{len(fitting)} ({', '.join(fitting[:3])})" if fitting else f"none among {', '.join(names[:5])}, ..."
            )
            raise UnknownViewError(
                f"Expected one camera for the annotated view {view}, found {what}. Fit the scene with this photo "
                "under its own name."
            )
        found[view] = fitting[0]
    return [replace(truth, view_name=found[truth.view_name]) for truth in truths]


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem
