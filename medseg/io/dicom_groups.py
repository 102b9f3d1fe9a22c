"""Frames of DICOM files sorted into series that could each be one volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.io.dicom_headers import SPLIT_NAMES, DicomHead, FrameHead
from medseg.io.dicom_privacy import sayable_split
from medseg.study.series_facts import SeriesFacts

_SAME_DIRECTION = 2e-3
"""Largest difference of direction cosines within a series; scanners round them to three digits at the worst."""
_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGroup:
    """Frames of one series: same size, same directions, no two of one place as far as the headers tell them apart."""

    key: str
    """What `read_study` takes: the series UID, with a number behind it where the series holds several groups."""
    head: DicomHead
    """The first file, for what all files share."""
    frames: tuple[FrameHead, ...]
    """In the order of files."""
    split_by: str = ""
    """What tells it from other groups of the same series."""


def group_frames(heads: Sequence[DicomHead]) -> tuple[FrameGroup, ...]:
    """Groups in the order in which their first frames come.

    Frames are put together by series, frame of reference, size and orientation, those of segmentations by segment too.
    A group that has several frames of one place is split by the first of time, echo, diffusion, trigger, acquisition
    and image type that gives each place once. Images without a place stay alone, file by file.
    """
    loose: list[tuple[DicomHead, list[FrameHead]]] = []
    alike: dict[tuple, list[list[FrameHead]]] = {}
    for head, frame in _all_frames(heads):
        shelf = alike.setdefault(_shared(head, frame), [])
        for members in shelf:
            if head.layout != "patient" or _same_directions(members[0], frame):
                members.append(frame)
                break
        else:
            shelf.append([frame])
            loose.append((head, shelf[-1]))
    parts = [(head, part, why) for head, members in loose for part, why in _without_doubles(head, members)]
    names = [head.series_uid or "unnamed" for head, _, _ in parts]
    counts: dict[str, int] = {}
    groups = []
    for (head, part, why), name in zip(parts, names, strict=True):
        counts[name] = counts.get(name, 0) + 1
        key = f"{name}/{counts[name]}" if names.count(name) > 1 else name
        first = next(one for one in heads if one.frames[0].file == part[0].file)
        groups.append(FrameGroup(key=key, head=first, frames=tuple(part), split_by=why or _segment(head, part)))
    return tuple(groups)


def facts_of(group: FrameGroup) -> SeriesFacts:
    """What a person needs to choose this group."""
    head, frames = group.head, group.frames
    spacing, plane = None, ""
    first = frames[0]
    shape = (head.columns, head.rows, len(frames))
    if head.layout == "slide":
        shape = (head.slide_size[1], head.slide_size[0], 1)
    if first.spacing is not None:
        depth = first.depth or 1.0
        if head.layout == "patient":
            along = np.sort(_heights(frames))
            depth = float(np.median(np.diff(along))) if len(along) > 1 else depth
            normal = np.abs(_normal(first))
            plane = ("sagittal", "coronal", "axial")[int(normal.argmax())]
        spacing = (first.spacing[1], first.spacing[0], depth)
    return SeriesFacts(
        key=group.key,
        format="dicom",
        modality=head.modality,
        shape=shape,
        spacing_mm=spacing,
        plane=plane,
        body_part=head.body_part,
        split_by=group.split_by,
        files=len({frame.file for frame in frames}),
        description=head.description,
    )


def _all_frames(heads: Sequence[DicomHead]) -> Iterator[tuple[DicomHead, FrameHead]]:
    for head in heads:
        for frame in head.frames:
            yield head, frame


def _same_directions(leader: FrameHead, frame: FrameHead) -> bool:
    apart = np.subtract(leader.orientation or (), frame.orientation or ())
    return bool(np.abs(apart).max() < _SAME_DIRECTION) and np.allclose(
        leader.spacing or (), frame.spacing or (), rtol=1e-3
    )


def _shared(head: DicomHead, frame: FrameHead) -> tuple:
    """What frames of one group have in common, but for directions; the file itself where it has no place."""
    alone = -1 if head.layout == "patient" else frame.file
    return (
        head.series_uid, head.frame_of_reference_uid, head.rows, head.columns, head.samples, head.photometric,
        head.modality, head.layout, head.unit, frame.segment, alone,
    )  # fmt: skip


def _without_doubles(head: DicomHead, frames: list[FrameHead]) -> list[tuple[list[FrameHead], str]]:
    if head.layout != "patient" or not _doubled(frames):
        return [(frames, "")]
    for number, name in enumerate(SPLIT_NAMES):
        parts: dict[str, list[FrameHead]] = {}
        for frame in frames:
            parts.setdefault(frame.splits[number], []).append(frame)
        # A split into single slices says nothing: it is the time of each slice.
        if len(parts) > 1 and max(map(len, parts.values())) > 1 and not any(map(_doubled, parts.values())):
            # Clock times and free text stay in the file: numbers in their place are as good to choose by.
            clock = name.endswith("time") and "echo" not in name
            shown = [str(place) if clock or not sayable_split(value) else value
                     for place, value in enumerate(parts, 1)]  # fmt: skip
            return [(part, f"{name} {value}".strip()) for value, part in zip(shown, parts.values(), strict=True)]
    return [(frames, "")]


def _doubled(frames: Sequence[FrameHead]) -> bool:
    heights = np.sort(_heights(frames))
    return bool(len(heights) > 1 and np.diff(heights).min() < _SAME_PLACE_MM)


def _heights(frames: Sequence[FrameHead]) -> np.ndarray:
    """Places along the normal of the first frame, mm."""
    return np.array([frame.position for frame in frames], dtype=np.float64) @ _normal(frames[0])


def _normal(frame: FrameHead) -> np.ndarray:
    orientation = frame.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    return np.cross(orientation[:3], orientation[3:])


def _segment(head: DicomHead, frames: list[FrameHead]) -> str:
    return f"segment {frames[0].segment}" if head.modality == "SEG" and frames[0].segment else ""
