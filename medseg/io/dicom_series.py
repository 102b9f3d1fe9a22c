"""A DICOM series as a `Volume`: patient slices, a slide of tiles, frames in time, or a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Num
from numpy import ndarray

from medseg.errors import GeometryError, StudyFileError
from medseg.io.dicom_groups import FrameGroup
from medseg.io.dicom_headers import DicomHead, FrameHead
from medseg.io.dicom_pixels import decode, join
from medseg.io.dicom_stack import Gaps, Stack, Tilt, flat_affine, stack_slices
from medseg.io.limits import ReadLimits
from medseg.study.source_geometry import SliceSource, SourceGeometry
from medseg.study.study import Notice
from medseg.study.volume import Space, Volume


def read_dicom_volume(
    group: FrameGroup, heads: Sequence[DicomHead], limits: ReadLimits, gaps: Gaps, tilt: Tilt
) -> tuple[Volume, list[Notice]]:
    """The volume of a group, and what was noticed.

    Raises:
        GeometryError: slices that make no regular grid, see `stack_slices`.
        StudyFileError: pixels that cannot be read.
        SizeLimitError: more memory than allowed.
    """
    if group.head.layout == "slide":
        return _read_slide(group, heads, limits)
    if group.head.layout == "patient":
        group, notices = _without_copies(group, heads, limits)
        stack = stack_slices(group, gaps, tilt)
        space: Space = "patient"
    else:
        notices = [_nowhere(group)]
        first = group.frames[0]
        stack = Stack(frames=group.frames, voxel_to_ras=flat_affine(first.spacing, first.depth))
        space = "frames" if group.head.layout == "frames" else "picture"
    voxels, more = join(decode(heads, stack.frames, limits))
    notices += [*_contradictions(group), *_uptake(group), *_shown_names(group, heads)]
    files = list(dict.fromkeys(frame.file for frame in stack.frames if frame is not None))
    by_file = {head.frames[0].file: head for head in heads}
    slices = tuple(
        SliceSource(file=-1)
        if frame is None
        else SliceSource(file=files.index(frame.file), frame=frame.frame, sop_instance_uid=by_file[frame.file].sop_uid)
        for frame in stack.frames
    )
    source = _source(group, [by_file[number] for number in files], slices, stack.voxel_to_ras, voxels.shape)
    volume = Volume(
        voxels=voxels,
        voxel_to_ras=stack.voxel_to_ras,
        modality=group.head.modality,
        unit=group.head.unit,
        source=source,
        space=space,
        spacing_known=group.frames[0].spacing is not None,
        body_part=group.head.body_part,
    )
    return volume, [*notices, *stack.notices, *more]


def _source(
    group: FrameGroup, heads: Sequence[DicomHead], slices: tuple[SliceSource, ...], affine: ndarray, shape: tuple
) -> SourceGeometry:
    head = group.head
    return SourceGeometry(
        format="dicom",
        shape=(shape[0], shape[1], shape[2]),
        voxel_to_ras=affine,
        files=tuple(one.found.source for one in heads),
        slices=slices,
        study_uid=head.study_uid,
        series_uid=head.series_uid,
        frame_of_reference_uid=head.frame_of_reference_uid,
    )


def _nowhere(group: FrameGroup) -> Notice:
    known = group.frames[0].spacing is not None
    what = "pixel spacing as the header gives it" if known else "one pixel taken as one millimetre"
    text = f"The image has no place in the patient: laid down as a picture, {what}."
    return Notice(code="no_position", text=text)


def _contradictions(group: FrameGroup) -> list[Notice]:
    described, counted = group.head.frames_described, len(group.head.frames)
    if described == counted:
        return []
    text = f"The header counts {counted} frame(s) and describes {described}: those it counts were read."
    return [Notice(code="frame_count", text=text)]


def _shown_names(group: FrameGroup, heads: Sequence[DicomHead]) -> list[Notice]:
    """A notice where the pixels of any file may show who the patient is."""
    files = {frame.file for frame in group.frames}
    why = next((head.burned_in for head in heads if head.burned_in and head.frames[0].file in files), "")
    if not why:
        return []
    text = f"The pixels may show who the patient is: {why}. Look at them before passing pictures on."
    return [Notice(code="burned_in_text", text=text)]


def _uptake(group: FrameGroup) -> list[Notice]:
    texts = {
        "SUV": "Activity was turned into SUV by body weight, with the dose at the time of the scan.",
        "Bq/ml": "Values stay in Bq/ml: the header does not say enough for SUV.",
    }
    text = texts.get(group.head.unit)
    return [Notice(code="suv" if group.head.unit == "SUV" else "no_suv", text=text)] if text else []


def _without_copies(
    group: FrameGroup, heads: Sequence[DicomHead], limits: ReadLimits
) -> tuple[FrameGroup, list[Notice]]:
    """The group without frames that repeat another of the same place pixel by pixel."""
    normal = np.cross(*np.reshape(group.frames[0].orientation or (1, 0, 0, 0, 1, 0), (2, 3)))
    by_place: list[tuple[float, FrameHead]] = []
    copies = 0
    heights = np.array([frame.position for frame in group.frames], dtype=np.float64) @ normal
    for number in np.argsort(heights, kind="stable"):
        frame = group.frames[number]
        if by_place and heights[number] - by_place[-1][0] < 1e-3:
            if not _same_pixels(by_place[-1][1], frame, heads, limits):
                raise GeometryError(
                    f"DICOM series: expected one slice per place, found two different ones at {heights[number]:.2f} mm "
                    "along the normal, and no tag tells them apart. Export one acquisition alone."
                )
            copies += 1
            continue
        by_place.append((float(heights[number]), frame))
    if not copies:
        return group, []
    frames = tuple(frame for _, frame in by_place)
    text = f"{copies} slice(s) were there twice, with the same pixels: the copies were left out."
    return replace(group, frames=frames), [Notice(code="copies_left_out", text=text)]


def _same_pixels(one: FrameHead, other: FrameHead, heads: Sequence[DicomHead], limits: ReadLimits) -> bool:
    first, second = decode(heads, [one, other], limits).values
    return first.shape == second.shape and bool(np.array_equal(first, second))


def _read_slide(group: FrameGroup, heads: Sequence[DicomHead], limits: ReadLimits) -> tuple[Volume, list[Notice]]:
    """Tiles of one channel put together; pixels no tile covers are 0."""
    head, first = group.head, group.frames[0]
    height, width = head.slide_size
    limits.check_voxels((width, height, 2), head.bytes_each, head.found.name)
    places = [frame.tile for frame in group.frames]
    if len(set(places)) != len(places):
        raise StudyFileError(
            f"{head.found.name}: expected a slide of one focal plane, found {len(places)} tiles on {len(set(places))} "
            "places. Export one plane alone."
        )
    stack = decode(heads, group.frames, limits)
    slide = _put_together(stack.values, group.frames, (height, width))
    stack.values, stack.padding = [slide], [None]
    voxels, notices = join(stack)
    affine = flat_affine(first.spacing, first.depth)
    slices = tuple(SliceSource(file=0, frame=frame.frame, sop_instance_uid=head.sop_uid) for frame in group.frames)
    volume = Volume(
        voxels=voxels,
        voxel_to_ras=affine,
        modality=head.modality,
        unit=head.unit,
        source=_source(group, [head], slices, affine, voxels.shape),
        space="picture",
        spacing_known=first.spacing is not None,
        body_part=head.body_part,
    )
    return volume, [_nowhere(group), *_shown_names(group, heads), *notices]


def _put_together(
    tiles: Sequence[Num[ndarray, "row column *channel"]], frames: Sequence[FrameHead], size: tuple[int, int]
) -> Num[ndarray, "height width *channel"]:
    slide = np.zeros((*size, *tiles[0].shape[2:]), dtype=np.result_type(*{tile.dtype for tile in tiles}))
    for tile, frame in zip(tiles, frames, strict=True):
        top, left = frame.tile or (0, 0)
        room = slide[top : top + tile.shape[0], left : left + tile.shape[1]]  # the last tiles hang over the edge
        room[...] = tile[: room.shape[0], : room.shape[1]]
    return slide
