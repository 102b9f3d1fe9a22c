"""Masks of DICOM series: read, turned, written and read by others, they lie where the positions of the slices say."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medseg.io.read_study import read_study
from medseg.io.write_masks import write_mask_nifti
from medseg.study.orientation import canonicalise
from medseg.study.resampling import resample, straighten
from medseg.study.slice_plan import plan_slices
from medseg.study.volume import Volume
from tests.medseg.made_grids import affine_of, centroid
from tests.medseg.made_series import write_slices

SPACING = (0.7, 1.1, 4.5)
DIRECTIONS = list(permutations(range(3)))


def series_with_a_blob(folder: Path, axes: np.ndarray, tilt: float = 0.0) -> tuple[Path, np.ndarray]:
    """A series whose bright blob has a known middle; returns the folder and that middle, RAS mm."""
    pixels = np.zeros((9, 14, 12), dtype=np.int16)
    pixels[2:6, 3:11, 2:5] = 1500
    pixels[4:7, 8:12, 4:9] = 1500
    across, down = axes[:, 0], axes[:, 1]
    step = SPACING[2] * (np.cross(across, down) + tilt * down)
    origin = np.array([5.0, -7.0, 11.0])
    positions = [origin + number * step for number in range(9)]
    order = np.random.default_rng(1).permutation(9)
    write_slices(
        folder, pixels[order], [positions[number] for number in order], [*across, *down], (SPACING[1], SPACING[0])
    )
    slices, rows, columns = np.nonzero(pixels)
    places = (
        origin + np.outer(columns, across * SPACING[0]) + np.outer(rows, down * SPACING[1]) + np.outer(slices, step)
    )
    return folder, places.mean(axis=0) * (-1, -1, 1)


def written_middle(path: Path, volume: Volume, mask: np.ndarray) -> np.ndarray:
    write_mask_nifti(path, mask, volume)
    theirs = nibabel.Nifti1Image.from_filename(path)
    assert theirs.shape == volume.source.shape
    return centroid(np.asarray(theirs.dataobj) > 0, np.asarray(theirs.affine))


@pytest.mark.parametrize("order", DIRECTIONS)
@pytest.mark.parametrize("degrees", [0.0, 9.0, 27.0])
def test_masks_lie_where_the_slices_were(tmp_path: Path, order: tuple[int, ...], degrees: float) -> None:
    for number, (first, second) in enumerate(product((1.0, -1.0), repeat=2)):
        axes = affine_of(order, (first, second, 1.0), degrees)[:3, :3] / SPACING
        folder, middle = series_with_a_blob(tmp_path / str(number), axes)
        volume = canonicalise(read_study(folder).volume)
        plan = plan_slices(volume)
        mask = plan.volume_of(plan.pictures(volume.voxels) > 0)
        # NIfTI keeps float32: 1e-7 of about 100 mm.
        assert np.linalg.norm(written_middle(tmp_path / "mask.nii", volume, mask) - middle) < 1e-3


def test_masks_of_a_tilted_series_go_back_onto_the_tilted_slices(tmp_path: Path) -> None:
    folder, middle = series_with_a_blob(tmp_path / "tilted", np.eye(3), tilt=np.tan(np.radians(20.0)))
    study = read_study(folder)
    assert study.noticed("gantry_tilt")
    plain = written_middle(tmp_path / "a.nii", study.volume, study.volume.voxels > 0)
    assert np.linalg.norm(plain - middle) < 1e-3
    straight = resample(canonicalise(straighten(study.volume)), (1.0, 1.0, 2.0))
    back = written_middle(
        tmp_path / "b.nii", straight, straight.voxels > -274
    )  # half way between the values, -1024 and 476
    assert np.linalg.norm(back - middle) < 0.5 * SPACING[2]
