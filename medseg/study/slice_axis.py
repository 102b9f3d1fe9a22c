"""Across which axis a volume's slices were taken, and their numbers in the files: where diameters are measured."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from medseg.study.affine import spacing_mm
from medseg.study.source_geometry import SourceGeometry
from medseg.study.volume import Volume

_CLEARLY_WIDER = 1.5
"""How many times the next spacing one must be, for slices to lie across it where the format does not say."""


def source_slice_axis(source: SourceGeometry) -> int:
    """Axis of the files' grid that counts slices: k for DICOM and pictures.

    Other formats do not say how a volume was taken: there it is an axis of one voxel, else the one whose spacing is
    clearly the widest, else k.

    Example:
        >>> sagittal = SourceGeometry(format="nifti", shape=(9, 40, 40), voxel_to_ras=np.diag([5.0, 1.0, 1.0, 1.0]))
        >>> source_slice_axis(sagittal)
        0
    """
    if source.format in ("dicom", "picture"):
        return 2
    if 1 in source.shape:
        return 2 - source.shape[::-1].index(1)
    steps = spacing_mm(source.voxel_to_ras)
    widest = int(steps.argmax())
    return widest if steps[widest] >= _CLEARLY_WIDER * np.sort(steps)[1] else 2


def slice_axis(volume: Volume) -> int:
    """Axis of the volume that runs along the slices' axis of its files, or nearest to it after resampling."""
    wanted = volume.source.voxel_to_ras[:3, source_slice_axis(volume.source)]
    cosines = wanted @ volume.voxel_to_ras[:3, :3] / volume.spacing_mm
    return int(np.abs(cosines).argmax())


def source_slice_numbers(volume: Volume) -> Int[ndarray, "slice"]:
    """For each slice of the volume along `slice_axis`: its number in the files, from 0; the nearest after resampling.

    Example:
        >>> from medseg.study.orientation import canonicalise
        >>> from medseg.study.volume import volume_in_memory
        >>> volume = canonicalise(volume_in_memory(np.zeros((4, 4, 3)), np.diag([1.0, 1.0, -5.0, 1.0])))
        >>> source_slice_numbers(volume).tolist()
        [2, 1, 0]
    """
    axis = slice_axis(volume)
    places = np.tile((np.array(volume.shape) - 1) / 2, (volume.shape[axis], 1))
    places[:, axis] = np.arange(volume.shape[axis])
    to_source = np.linalg.solve(volume.source.voxel_to_ras, volume.voxel_to_ras)
    wanted = source_slice_axis(volume.source)
    numbers = np.rint(places @ to_source[wanted, :3] + to_source[wanted, 3]).astype(int)
    return np.clip(numbers, 0, volume.source.shape[wanted] - 1)
