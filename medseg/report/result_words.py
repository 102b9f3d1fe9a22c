"""Words and numbers of a result as a person reads them; pictures, tables and the report share them."""

from __future__ import annotations

import math
import re
import unicodedata
from pathlib import PurePath

from medseg.study.finding import Finding
from medseg.study.quantities import Quantities
from medseg.study.result import SegmentationResult
from medseg.study.source_geometry import SourceGeometry
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow

STATUS_WORDS = {"found": "found", "uncertain": "uncertain", "not_found": "not found"}
"""Status -> what a person reads."""
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of the text after them."""
_STEM_LENGTH = 40
_SHORTEST_NAME = 4
"""File names shorter than this are words of any sentence."""


def number_text(value: float) -> str:
    """A measured number with three significant digits, whole from 100 on, never as a power of ten.

    Example:
        >>> [number_text(value) for value in (2312.4, 23.12, 0.5, 0.0001, 0.0)]
        ['2312', '23.1', '0.500', '<0.001', '0']
    """
    if not math.isfinite(value):
        return "not a number"
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return "<0.001" if value > 0 else ">-0.001"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(max(digits, 0), 3)}f}"


def size_text(finding: Finding) -> str:
    """How large a finding is: millilitres, else square millimetres, else pixels; empty where it has no voxel.

    A mask that nobody measured is `not measured`.
    """
    if not finding.mask.any():
        return ""
    found = finding.quantities
    if found is None:
        return "not measured"
    if found.volume_ml is not None:
        return f"{number_text(found.volume_ml)} ml"
    if found.area_mm2 is not None:
        return f"{number_text(found.area_mm2)} mm²"
    return f"{found.area_pixels} px"


def axes_text(found: Quantities | None) -> str:
    """The two diameters, as `23.1 x 11.0 mm`; empty where they are not known."""
    if found is None or found.long_axis_mm is None:
        return ""
    short = "" if found.short_axis_mm is None else f" x {number_text(found.short_axis_mm)}"
    return f"{number_text(found.long_axis_mm)}{short} mm"


def window_text(window: IntensityWindow, unit: str) -> str:
    """The window of a picture in words.

    Example:
        >>> window_text(IntensityWindow(low=-1350.0, high=150.0, name="lung", chosen_by="prompt"), "HU")
        'lung window, -1350 to 150 HU, chosen by prompt'
    """
    if window.name == "as stored":
        return "shown as stored"
    named = f" {unit}" if unit not in ("", "unknown") else ""
    name = "percentile" if window.name == "percentiles" else window.name
    return f"{name} window, {window.low:.6g} to {window.high:.6g}{named}, chosen by {window.chosen_by}"


def grid_text(volume: Volume) -> str:
    """What was asked about, as `CT, 512 x 512 x 20 voxels of 0.977 x 0.977 x 2 mm`."""
    sizes = volume.shape if volume.space == "patient" or volume.shape[2] > 1 else volume.shape[:2]
    kind = "voxels" if len(sizes) == 3 else "pixels"
    words = f"{' x '.join(str(size) for size in sizes)} {kind}"
    if volume.modality not in ("", "unknown"):
        words = f"{volume.modality}, {words}"
    if not volume.spacing_known:
        return f"{words}, spacing unknown"
    steps = volume.spacing_mm[:2] if len(sizes) == 2 or volume.space == "frames" else volume.spacing_mm
    return f"{words} of {' x '.join(f'{step:.3g}' for step in steps)} mm"


def visible_text(text: str) -> str:
    """Text in which nothing acts unseen: control characters and turns of direction are spelled out.

    Example:
        >>> visible_text("left\\u202e lung")
        'left[U+202E] lung'
    """
    return "".join(character if _is_plain(character) else f"[U+{ord(character):04X}]" for character in text)


def without_file_names(text: str, source: SourceGeometry) -> str:
    """Text without the paths and names of the files that were read, since files are named after people."""
    for file in source.files:
        whole, alone = [str(file.path)], [file.path.name]
        if file.member:
            whole.append(file.member)
            alone.append(PurePath(file.member).name)
        for name in sorted({*whole, *alone}, key=len, reverse=True):
            if len(name) >= _SHORTEST_NAME:
                text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "[file]", text)
    return text


def result_warnings(result: SegmentationResult) -> tuple[str, ...]:
    """What a person should know, in every document: the result's warnings, and findings that contradict their masks."""
    told = [without_file_names(text, result.volume.source) for text in result.warnings]
    for number, finding in enumerate(result.findings, 1):
        if finding.status != "not_found" and not finding.mask.any():
            told.append(f"Finding {number} is said to be {STATUS_WORDS[finding.status]}, but its mask is empty.")
    return tuple(told)


def mask_stem(number: int, label: str) -> str:
    """The file name of a finding's mask without its ending: its number, then what is plain in its phrase.

    Example:
        >>> mask_stem(2, "Left lung (upper)"), mask_stem(3, "肝臓")
        ('02_left_lung_upper', '03')
    """
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode("ascii").lower()
    words = "_".join(re.findall(r"[a-z0-9]+", plain))[:_STEM_LENGTH].strip("_")
    return f"{number:02d}_{words}" if words else f"{number:02d}"


def _is_plain(character: str) -> bool:
    if character in "\n\t":
        return True
    return character not in _TURNING and unicodedata.category(character) not in ("Cc", "Cs")
