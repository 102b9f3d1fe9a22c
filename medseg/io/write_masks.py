"""Masks written on the grid of the files their volume came from: NIfTI for volumes, PNG for pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray
from PIL import Image

from medseg.errors import InvalidInputError
from medseg.io.nifti import write_nifti_bytes
from medseg.study.resampling import to_source_grid
from medseg.study.volume import Volume
from vlm_bridge.atomic_write import written_whole

_EXIF_ORIENTATION = 0x0112


def write_mask_nifti(path: Path, mask: Bool[ndarray, "i j k"] | Integer[ndarray, "i j k"], volume: Volume) -> None:
    """A mask or label map on `volume`'s voxels, as NIfTI on the source grid; `.gz` at the end of the name packs it.

    Booleans become 0 and 1. The same mask gives the same bytes. A volume with a tilted gantry gets a sheared sform,
    which nibabel reads and SimpleITK refuses.

    Raises:
        InvalidInputError: the name does not end in .nii or .nii.gz, the mask is not on the volume's grid, or labels
            are not within 0-65535.
    """
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise InvalidInputError(f"Mask file: expected a name in .nii or .nii.gz, found {path.suffix!r}. Rename it.")
    labels = _small_labels(to_source_grid(mask, volume))
    packed = path.name.lower().endswith(".gz")
    content = write_nifti_bytes(labels, volume.source.voxel_to_ras, packed)
    with written_whole(path) as partial:
        partial.write_bytes(content)


def write_mask_png(path: Path, mask: Bool[ndarray, "i j k"] | Integer[ndarray, "i j k"], volume: Volume) -> None:
    """A mask of a picture as PNG, pixel for pixel that of the file as stored, with the same EXIF turn.

    Booleans become 0 and 255, labels stay (16 bits above 255). A viewer turns the mask as it turns the picture.

    Raises:
        InvalidInputError: the volume has several slices, the name does not end in .png, the mask is not on the
            volume's grid, or labels are not within 0-65535.
    """
    if path.suffix.lower() != ".png":
        raise InvalidInputError(f"Mask file: expected a name in .png, found {path.suffix!r}. Rename it.")
    if volume.shape[2] != 1 or volume.source.shape[2] != 1:
        raise InvalidInputError(
            f"Mask as PNG: expected a picture, found {volume.source.shape[2]} slices. Write it as NIfTI."
        )
    stored = to_source_grid(mask, volume)
    labels = _small_labels(stored)
    pixels = labels[:, :, 0].T * np.uint8(255) if mask.dtype == bool else labels[:, :, 0].T
    exif = Image.Exif()
    if volume.source.exif_orientation != 1:
        exif[_EXIF_ORIENTATION] = volume.source.exif_orientation
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, format="PNG", exif=exif)
    with written_whole(path) as partial:
        partial.write_bytes(content.getvalue())


def _small_labels(mask: Bool[ndarray, "i j k"] | Integer[ndarray, "i j k"]) -> Integer[ndarray, "i j k"]:
    if mask.dtype == bool:
        return mask.astype(np.uint8)
    if mask.dtype.kind not in "iu" or mask.min() < 0 or mask.max() > 65_535:
        raise InvalidInputError(
            f"Mask: expected booleans or labels within 0-65535, found {mask.dtype}. Take a threshold first."
        )
    return mask.astype(np.uint8 if mask.max() <= 255 else np.uint16)
