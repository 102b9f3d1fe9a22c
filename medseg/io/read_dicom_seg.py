"""`read_dicom_seg`: segments of a DICOM segmentation, of any maker, as masks on the voxels of a volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray
from pydicom import dcmread
from pydicom.dataset import Dataset

from medseg.errors import InvalidInputError, StudyFileError
from medseg.io.dicom_headers import DicomHead, FrameHead, read_head
from medseg.io.dicom_pixels import decoded_frames
from medseg.io.dicom_privacy import NAME_TAGS
from medseg.io.dicom_values import count_of, numbers, one_number, word
from medseg.io.foreign_grids import check_same_patient_space, onto_volume, referenced_images
from medseg.io.foreign_names import code_of, harmless_name
from medseg.io.found_files import found_files
from medseg.io.limits import ReadLimits
from medseg.io.parser_failures import parsing
from medseg.io.seg_frames import Spot, other_grid, spots
from medseg.io.segment_colours import as_rgb
from medseg.study.labelled_mask import LabelledMask, LabelledMasks
from medseg.study.resampling import sample, source_grid
from medseg.study.study import Notice
from medseg.study.volume import Volume

_TAGS = [
    "Modality", "SegmentSequence", "SegmentationType", "MaximumFractionalValue", "PixelPaddingValue",
    "FrameOfReferenceUID", *NAME_TAGS, "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence", "SourceImageSequence",
]  # fmt: skip
_BACKGROUND = ("DCM", "125040")
_NAME = "The segmentation"
"""What messages call the file."""


@dataclass(slots=True, kw_only=True)
class _Segment:
    """A segment while its frames come in."""

    number: int
    item: Dataset = field(repr=False)
    values: Float[ndarray, "a b c"] | None = field(default=None, repr=False)
    """Shares on the source grid; None until a frame has come."""


def read_dicom_seg(
    path: Path, volume: Volume, *, threshold: float = 0.5, limits: ReadLimits | None = None
) -> LabelledMasks:
    """Segments as masks on `volume`'s voxels: binary, fractional, overlapping, label maps, tiled slides.

    Frames on the grid of the volume's files are copied voxel by voxel, whatever their order and however many were left
    out. A segmentation on another grid (other spacing, other planes) is interpolated, and a notice says so. Frames
    without a place are put onto the images they refer to. Fractional segments keep their shares in `fraction`; their
    mask is where the share is at least `threshold`. Segments that cover no voxel have an empty mask and a notice.

    Raises:
        StudyFileError: no segmentation, or a broken one.
        GeometryError: it belongs to other images, or its frames make no regular grid.
        InvalidInputError: a threshold outside 0-1.
        SizeLimitError: more segments than the limits hold.
    """
    if not 0 < threshold <= 1:
        raise InvalidInputError(f"DICOM SEG: expected a threshold above 0 and up to 1, found {threshold}. Change it.")
    allowed = limits or ReadLimits()
    with found_files(path, allowed) as files, parsing(_NAME, "a DICOM segmentation"):
        if len(files) != 1:
            raise StudyFileError(f"{_NAME}: expected one DICOM segmentation, found {len(files)} files. Give one.")
        header = dcmread(files[0].path, force=True, stop_before_pixels=True, specific_tags=_TAGS)
        if word(header, "Modality") != "SEG" or not header.get("SegmentSequence"):
            raise StudyFileError(
                f"{_NAME}: expected a DICOM segmentation with segments, found another object. Give the SEG file."
            )
        head = read_head(files[0], 0)
        segments = _segments(header, head)
        fractional = word(header, "SegmentationType") == "FRACTIONAL"
        allowed.check_voxels((len(segments), *volume.source.shape), 4 if fractional else 1, _NAME)
        references = referenced_images(header)
        check_same_patient_space(word(header, "FrameOfReferenceUID"), references, volume, _NAME)
        places = spots(head, header, volume)
        notices = _collect(segments, head, header, places, volume)
    masks = tuple(_labelled(one, header, volume, threshold if fractional else None) for one in segments)
    empty = sum(not one.mask.any() for one in masks)
    if empty:
        notices.append(Notice(code="empty_segments", text=f"{empty} segment(s) cover no voxel of the volume."))
    return LabelledMasks(masks=masks, notices=tuple(notices))


def _segments(header: Dataset, head: DicomHead) -> list[_Segment]:
    """Segments without the background that label maps describe."""
    found = []
    for item in header.SegmentSequence:
        number = count_of(item, "SegmentNumber")
        kinds = item.get("SegmentedPropertyTypeCodeSequence") or [None]
        code = code_of(kinds[0])
        if number is None or (code is not None and code[:2] == _BACKGROUND):
            continue
        if number == 0 and word(header, "SegmentationType") == "LABELMAP":
            continue
        found.append(_Segment(number=number, item=item))
    if not found:
        raise StudyFileError(
            f"{head.found.name}: expected segments beside the background, found none. Export it again."
        )
    return found


def _collect(
    segments: Sequence[_Segment], head: DicomHead, header: Dataset, places: Sequence[Spot] | None, volume: Volume
) -> list[Notice]:
    """Fill in the values of all segments, frame by frame; what did not fit."""
    scale = _scale(header)
    if word(header, "SegmentationType") == "LABELMAP":

        def shares(pixels: Shaped[ndarray, "row column"], number: int) -> Shaped[ndarray, "row column"]:
            return pixels == number
    else:

        def shares(pixels: Shaped[ndarray, "row column"], number: int) -> Shaped[ndarray, "row column"]:
            return pixels.astype(np.float32) / np.float32(scale) if scale > 1 else pixels > 0

    if places is None:
        return _interpolate(segments, head, shares, volume, word(header, "SegmentationType") == "FRACTIONAL")
    outside = 0
    by_frame = {spot.frame: spot for spot in places}
    for frame, pixels in decoded_frames(head, head.frames):
        spot = by_frame[frame.frame]
        for segment in _of_frame(segments, frame):
            share = shares(pixels, segment.number)
            outside += int(np.any(share)) * (not _put(segment, share, spot, volume.source.shape))
    if not outside:
        return []
    text = f"{outside} frame(s) with voxels of a segment lie outside the volume: they were left out."
    return [Notice(code="frames_outside", text=text)]


def _of_frame(segments: Sequence[_Segment], frame: FrameHead) -> list[_Segment]:
    """Segments a frame may hold: the one it names, or all of them in a label map."""
    return [one for one in segments if frame.segment in (0, one.number)]


def _put(segment: _Segment, share: Shaped[ndarray, "row column"], spot: Spot, shape: tuple[int, int, int]) -> bool:
    """Write a frame into the segment's values; whether it lies in the volume at all."""
    if segment.values is None:
        segment.values = np.zeros(shape, dtype=share.dtype)
    left, top, k = spot.column, spot.row, spot.k
    across, down = (
        slice(max(left, 0), min(left + share.shape[1], shape[0])),
        slice(max(top, 0), min(top + share.shape[0], shape[1])),
    )
    if not 0 <= k < shape[2] or across.start >= across.stop or down.start >= down.stop:
        return False
    part = share[down.start - top : down.stop - top, across.start - left : across.stop - left]
    room = segment.values[across, down, k]
    np.maximum(room, part.T, out=room)
    return True


def _interpolate(
    segments: Sequence[_Segment], head: DicomHead, shares: Callable[..., ndarray], volume: Volume, fractional: bool
) -> list[Notice]:
    """Values of a segmentation on a grid of its own, read off at the voxels of the files."""
    grid, order = other_grid(head)
    for segment in segments:
        mine = [frame for frame in head.frames if frame.segment in (0, segment.number)]
        if not mine:
            continue
        values = np.zeros(grid.shape, dtype=np.float32)
        for frame, pixels in decoded_frames(head, mine):
            values[:, :, order[frame.frame]] = shares(pixels, segment.number).T
        moved = sample(values, grid, source_grid(volume))
        segment.values = moved if fractional else moved > 0.5
    text = "The segmentation lies on a grid of its own: it was interpolated onto the volume's, masks cut at one half."
    return [Notice(code="resampled", text=text)]


def _scale(header: Dataset) -> float:
    if word(header, "SegmentationType") != "FRACTIONAL":
        return 1.0
    return max(1.0, one_number(header, "MaximumFractionalValue") or 255.0)


def _labelled(segment: _Segment, header: Dataset, volume: Volume, threshold: float | None) -> LabelledMask:
    item = segment.item
    values = segment.values if segment.values is not None else np.zeros(volume.source.shape, dtype=bool)
    moved = onto_volume(values, volume)
    if threshold is None:
        mask, fraction = moved if moved.dtype == bool else moved > 0.5, None
    else:
        mask, fraction = moved >= threshold, moved.astype(np.float32)
    colour = numbers(item, "RecommendedDisplayCIELabValue")
    kinds = item.get("SegmentedPropertyTypeCodeSequence") or [None]
    return LabelledMask(
        label=harmless_name(word(item, "SegmentLabel"), header, f"segment {segment.number}"),
        number=segment.number,
        mask=mask,
        fraction=fraction,
        code=code_of(kinds[0]),
        colour=None if colour is None or len(colour) != 3 else as_rgb((int(colour[0]), int(colour[1]), int(colour[2]))),
    )
