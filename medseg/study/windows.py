"""Intensity windows: which range of values a picture shows, chosen by prompt, body part and modality.

The choice is a value of its own (`IntensityWindow`), so that a result can record it and a caller can override it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from medseg.errors import InvalidInputError
from medseg.study.volume import Volume

ChosenBy = Literal["caller", "prompt", "body part", "modality"]

WINDOWS_HU: dict[str, tuple[float, float]] = {
    "soft tissue": (-160.0, 240.0),
    "lung": (-1350.0, 150.0),
    "bone": (-500.0, 1300.0),
    "brain": (0.0, 80.0),
    "mediastinum": (-160.0, 240.0),
    "liver": (-20.0, 140.0),
}
"""Name -> lowest and highest value shown, HU. As level/width: 40/400, -600/1500, 400/1800, 40/80, 40/400, 60/160."""
_WORDS: tuple[tuple[str, str], ...] = (
    (
        "lung",
        r"lungs?|pulmonary|(?:upper|middle|lower) lobes?|emphysema\w*|ground.glass|pneumo(?:nia|thorax)|bronch\w*|"
        r"airways?|trachea\w*",
    ),
    ("bone", r"bon(?:e|es|y)|ribs?|vertebra\w*|fractur\w*|skull|spine|sacrum|femurs?|sternum|clavicles?"),
    ("brain", r"brain|cerebr\w*|cerebell\w*|intracranial|subdural|stroke"),
    ("mediastinum", r"mediastin\w*|heart|aort\w*|cardiac|thymus"),
    ("liver", r"liver|hepat\w*"),
)
"""Window -> words that ask for it; the window whose word comes first in the text is taken."""
_BODY_PARTS = {"HEAD": "brain", "LSPINE": "bone", "TSPINE": "bone", "CSPINE": "bone", "EXTREMITY": "bone"}
"""DICOM's body parts that `_WORDS` does not know, since a prompt means other things by them (head of the femur)."""
_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensityWindow:
    """A range of values, in the volume's unit, and why it was taken."""

    low: float
    """Shown as black."""
    high: float
    """Shown as white."""
    name: str = "own"
    """As in `WINDOWS_HU`, `percentiles`, `as stored`, `SUV 0-20`, or `own`."""
    chosen_by: ChosenBy = "caller"
    """Who chose it."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise InvalidInputError(
                f"IntensityWindow: expected finite low < high, found {self.low} and {self.high}. Change them."
            )


def choose_window(volume: Volume, prompt: str = "", override: IntensityWindow | str | None = None) -> IntensityWindow:
    """The window for a volume: the caller's own, else by words of the prompt, the body part, or the modality.

    CT in HU has the named windows, the soft-tissue one by default. Pictures of 8 bits stay as stored. PET in SUV shows
    0-20. All else shows the 0.5 to 99.5 percentiles of the voxels that are not zero.

    Example:
        >>> from medseg.study.volume import volume_in_memory
        >>> volume = volume_in_memory(np.zeros((2, 2, 2)), np.eye(4), modality="CT", unit="HU")
        >>> choose_window(volume, "Is there a nodule in the left lung?").name
        'lung'

    Raises:
        InvalidInputError: the named window is unknown, or is one of HU while the volume has another unit.
    """
    if isinstance(override, IntensityWindow):
        return override
    if isinstance(override, str):
        if override not in WINDOWS_HU or volume.unit != "HU":
            raise InvalidInputError(
                f"Window: expected one of {', '.join(WINDOWS_HU)} for a volume in HU, found {override!r} and unit "
                f"{volume.unit!r}. Give an IntensityWindow."
            )
        return _named(override, "caller")
    if volume.unit == "HU":
        if name := _first_named(prompt):
            return _named(name, "prompt")
        if name := _BODY_PARTS.get(volume.body_part) or _first_named(volume.body_part):
            return _named(name, "body part")
        return _named("soft tissue", "modality")
    if volume.unit == "8 bit":
        return IntensityWindow(low=0.0, high=255.0, name="as stored", chosen_by="modality")
    if volume.unit == "SUV":
        return IntensityWindow(low=0.0, high=20.0, name="SUV 0-20", chosen_by="modality")
    return _percentile_window(volume)


def show(volume: Volume, window: IntensityWindow) -> UInt8[ndarray, "i j k *channel"]:
    """Voxels as 0-255 of the window, rounded; values outside it are black or white.

    Example:
        >>> from medseg.study.volume import volume_in_memory
        >>> volume = volume_in_memory(np.array([[[-200, 40, 500]]]), np.eye(4), modality="CT", unit="HU")
        >>> show(volume, choose_window(volume)).ravel().tolist()
        [0, 128, 255]
    """
    shown = np.empty(volume.voxels.shape, dtype=np.uint8)
    for k in range(volume.shape[2]):  # slice by slice: no second volume of floats
        share = (volume.voxels[:, :, k].astype(np.float64) - window.low) / (window.high - window.low)
        shown[:, :, k] = np.rint(255 * np.clip(share, 0.0, 1.0))
    return shown


def shares(volume: Volume, window: IntensityWindow) -> Float[ndarray, "i j k *channel"]:
    """Voxels as 0-1 of the window in float32, clipped."""
    share = (volume.voxels.astype(np.float32) - window.low) / (window.high - window.low)
    return np.clip(share, 0.0, 1.0).astype(np.float32)


def _named(name: str, chosen_by: ChosenBy) -> IntensityWindow:
    low, high = WINDOWS_HU[name]
    return IntensityWindow(low=low, high=high, name=name, chosen_by=chosen_by)


def _first_named(text: str) -> str:
    """The window whose word comes first in the text, empty where none does."""
    hits = []
    for name, words in _WORDS:
        hit = re.search(rf"\b(?:{words})\b", text, re.IGNORECASE)
        if hit:
            hits.append((hit.start(), name))
    return min(hits)[1] if hits else ""


def _percentile_window(volume: Volume) -> IntensityWindow:
    counted = volume.voxels[volume.voxels != 0]
    low, high = np.percentile(counted, _PERCENTILES) if counted.size else (0.0, 1.0)
    if low >= high:  # flat: black where it is lower than its value, white from there on
        low = high - max(abs(high), 1.0)
    return IntensityWindow(low=float(low), high=float(high), name="percentiles", chosen_by="modality")
