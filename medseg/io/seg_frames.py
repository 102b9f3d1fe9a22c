"""Where frames of a segmentation lie on the grid of a volume's files: column, row and slice of their first pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydicom.dataset import Dataset

from medseg.errors import GeometryError
from medseg.io.dicom_groups import FrameGroup
from medseg.io.dicom_headers import DicomHead, FrameHead
from medseg.io.dicom_stack import stack_slices
from medseg.io.dicom_values import count_of, word
from medseg.study.affine import LPS_TO_RAS
from medseg.study.resampling import Grid
from medseg.study.volume import Volume

_SAME_VOXEL = 0.05
"""How far a frame may lie from the volume's voxels, in voxels, at its first and its last pixel, to be on them."""
_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One frame on the source grid."""

    frame: int
    """Its number in the file, from 0."""
    column: int
    """Where its first pixel lies."""
    row: int
    k: int


def spots(head: DicomHead, header: Dataset, volume: Volume) -> list[Spot] | None:
    """The place of each frame on the grid of the volume's files; None where they lie on a grid of their own.

    Raises:
        GeometryError: frames without a place that do not refer to the volume's images, or a slide of another size.
    """
    if head.layout == "slide":
        return _tiles(head, volume)
    if head.layout == "patient" and volume.space == "patient":
        return _by_place(head, volume)
    return _by_reference(head, header, volume)


def other_grid(head: DicomHead) -> tuple[Grid, dict[int, int]]:
    """The grid of a segmentation's own frames, and the slice of each frame on it.

    Raises:
        GeometryError: they make no regular grid.
    """
    normal = np.cross(*np.reshape(head.frames[0].orientation or (1, 0, 0, 0, 1, 0), (2, 3)))
    heights = np.array([frame.position for frame in head.frames], dtype=np.float64) @ normal
    once: list[FrameHead] = []
    last = None
    for number in np.argsort(heights, kind="stable"):
        if last is None or heights[number] - last > _SAME_PLACE_MM:
            once.append(head.frames[number])
            last = heights[number]
    stack = stack_slices(FrameGroup(key="segmentation", head=head, frames=tuple(once)))
    shape = (head.columns, head.rows, len(stack.frames))
    grid = Grid(shape=shape, voxel_to_ras=stack.voxel_to_ras)
    order = {}
    for frame in head.frames:
        order[frame.frame] = round(float(_indices(frame, stack.voxel_to_ras, (0, 0))[2]))
    return grid, order


def _tiles(head: DicomHead, volume: Volume) -> list[Spot]:
    size = (head.slide_size[1], head.slide_size[0], 1)
    if volume.source.shape != size:
        raise GeometryError(
            f"{head.found.name}: expected a segmentation of a slide of {volume.source.shape[:2]} pixels, found one of "
            f"{size[:2]}. Read the slide of the same level."
        )
    return [Spot(frame=one.frame, column=one.tile[1], row=one.tile[0], k=0) for one in head.frames if one.tile]


def _by_place(head: DicomHead, volume: Volume) -> list[Spot] | None:
    found = []
    for frame in head.frames:
        first = _indices(frame, volume.source.voxel_to_ras, (0, 0))
        last = _indices(frame, volume.source.voxel_to_ras, (head.columns - 1, head.rows - 1))
        start = np.rint(first)
        wanted = start + np.array([head.columns - 1, head.rows - 1, 0])
        if max(np.abs(first - start).max(), np.abs(last - wanted).max()) > _SAME_VOXEL:
            return None
        found.append(Spot(frame=frame.frame, column=int(start[0]), row=int(start[1]), k=int(start[2])))
    return found


def _indices(frame: FrameHead, voxel_to_ras: Float[ndarray, "4 4"], pixel: tuple[int, int]) -> Float[ndarray, "3"]:
    """Indices on a grid of a frame's pixel (column, row)."""
    orientation = np.asarray(frame.orientation, dtype=np.float64)
    rows_mm, columns_mm = (frame.spacing or (1.0, 1.0))[:2]
    place = np.asarray(frame.position) + pixel[0] * columns_mm * orientation[:3] + pixel[1] * rows_mm * orientation[3:]
    return (np.linalg.inv(voxel_to_ras) @ LPS_TO_RAS @ [*place, 1.0])[:3]


def _by_reference(head: DicomHead, header: Dataset, volume: Volume) -> list[Spot]:
    """Frames put onto the images that they name as their source."""
    by_image: dict[tuple[str, int], int] = {}
    for k, one in enumerate(volume.source.slices):
        by_image[one.sop_instance_uid, one.frame] = k
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    found = []
    for frame in head.frames:
        groups = [own[frame.frame]] if frame.frame < len(own) else []
        k = _named(_source_images([*groups, shared], header), by_image)
        if k is None or (head.columns, head.rows) != volume.source.shape[:2]:
            raise GeometryError(
                f"{head.found.name}: expected frames of {volume.source.shape[:2]} pixels with a place, or a reference "
                f"to the volume's images, found {(head.columns, head.rows)} without. Read the images it was made from."
            )
        found.append(Spot(frame=frame.frame, column=0, row=0, k=k))
    return found


def _source_images(groups: Sequence[Dataset], header: Dataset) -> list[Dataset]:
    for group in groups:
        items = [image for one in group.get("DerivationImageSequence") or () for image in one.SourceImageSequence]
        if items:
            return items
    return list(header.get("SourceImageSequence") or ())


def _named(images: Sequence[Dataset], by_image: dict[tuple[str, int], int]) -> int | None:
    for image in images:
        frame = (count_of(image, "ReferencedFrameNumber") or 1) - 1
        k = by_image.get((word(image, "ReferencedSOPInstanceUID"), frame))
        if k is not None:
            return k
    return None
