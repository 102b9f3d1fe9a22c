"""Whether masks of a file belong to a volume, and their way from the grid of the volume's files onto its voxels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from pydicom.dataset import Dataset

from medseg.errors import GeometryError
from medseg.io.dicom_values import word
from medseg.study.orientation import move_between
from medseg.study.resampling import grid_of, sample, source_grid
from medseg.study.volume import Volume


def check_same_patient_space(frame_of_reference: str, referenced: set[str], volume: Volume, name: str) -> None:
    """Raise where coordinates of a file mean another place than those of the volume.

    Frames of reference that are missing are not held against a file, nor is another one where the file refers to the
    very images the volume was read from.

    Raises:
        GeometryError: two different frames of reference and no image in common.
    """
    own = volume.source.frame_of_reference_uid
    images = {one.sop_instance_uid for one in volume.source.slices}
    if not own or not frame_of_reference or own == frame_of_reference or referenced & images:
        return
    raise GeometryError(
        f"{name}: expected masks in the volume's frame of reference, found another one and no reference to its images. "
        "Read the images that the masks were drawn on."
    )


def referenced_images(dataset: Dataset) -> set[str]:
    """Every SOP instance that a dataset refers to, at any depth."""
    return set(_references(dataset))


def onto_volume(values: Shaped[ndarray, "a b c"], volume: Volume) -> Float[ndarray, "i j k"] | Bool[ndarray, "i j k"]:
    """A mask or fractions on the grid of the files, brought onto the volume's voxels.

    A volume that was only turned or flipped gets the same voxels; one that was resampled gets them interpolated, masks
    cut at one half.
    """
    source = volume.source
    move = move_between(source.voxel_to_ras, source.shape, volume.voxel_to_ras, volume.shape)
    if move is not None:
        return np.ascontiguousarray(move.apply(values))
    moved = sample(values.astype(np.float32), source_grid(volume), grid_of(volume))
    return moved > 0.5 if values.dtype == bool else moved


def _references(dataset: Dataset) -> Iterator[str]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _references(item)
        elif element.keyword == "ReferencedSOPInstanceUID":
            yield word(dataset, "ReferencedSOPInstanceUID")
