"""Volumes on other grids: linear functions stay exact, middles stay in place, tilted stacks become straight."""

from __future__ import annotations

import numpy as np
import pytest

from medseg.errors import InvalidInputError, SizeLimitError
from medseg.study.affine import is_sheared, to_ras
from medseg.study.orientation import canonicalise
from medseg.study.resampling import (
    Grid,
    grid_of,
    grid_of_spacing,
    resample,
    sample_labels,
    straighten,
    to_source_grid,
)
from medseg.study.volume import Volume, volume_in_memory
from tests.medseg.made_grids import ORIENTATIONS, affine_of, centroid, lopsided_mask


def ramp(affine: np.ndarray, shape: tuple[int, int, int]) -> Volume:
    """A volume whose value is a linear function of the place."""
    indices = np.argwhere(np.ones(shape)).astype(np.float64)
    values = to_ras(affine, indices) @ np.array([0.3, -0.5, 0.7])
    return volume_in_memory(values.reshape(shape), affine)


def test_a_linear_function_of_place_survives_resampling() -> None:
    affine = affine_of((1, 2, 0), (1.0, -1.0, 1.0), 27.0)
    before = ramp(affine, (12, 13, 9))
    after = resample(before, (1.0, 0.8, 2.0))
    expected = ramp(after.voxel_to_ras, after.shape)
    inner = (slice(2, -2),) * 3
    # float32 of values near 100; linear interpolation of a linear function is exact but for rounding.
    np.testing.assert_allclose(after.voxels[inner], expected.voxels[inner], rtol=0, atol=1e-4)
    np.testing.assert_allclose(after.spacing_mm, (1.0, 0.8, 2.0), rtol=0, atol=1e-12)


def test_a_mask_comes_back_within_half_a_voxel_from_an_isotropic_grid() -> None:
    mask = np.zeros((20, 16, 9), dtype=bool)
    mask[4:15, 3:12, 2:7] = True
    mask[15:18, 3:6, 2:4] = True
    for order, signs in ORIENTATIONS[::5]:
        affine = affine_of(order, signs, 9.0)
        volume = volume_in_memory(mask.astype(np.float32), affine)
        fine = resample(canonicalise(volume), (0.7, 0.7, 0.7))
        back = to_source_grid(fine.voxels > 0.5, fine)
        assert back.shape == mask.shape
        moved = np.linalg.norm(centroid(back, affine) - centroid(mask, affine))
        assert moved < 0.5 * 0.7  # half of the smallest spacing
        shared = (back & mask).sum() / (back | mask).sum()
        assert shared > 0.95


def test_labels_are_shares_and_not_averages() -> None:
    labels = np.zeros((8, 8, 8), dtype=np.int16)
    labels[:4] = 2
    labels[4:] = 7
    grid = Grid(shape=(8, 8, 8), voxel_to_ras=np.diag([1.0, 1.0, 1.0, 1.0]))
    fine = sample_labels(labels, grid, grid_of_spacing(grid, (0.4, 1.0, 1.0)))
    assert set(np.unique(fine)) == {2, 7}  # an average of 2 and 7 would make 4 or 5
    assert (fine == 2).sum() == (fine == 7).sum()


def test_labels_and_probabilities_come_back_as_their_kind() -> None:
    volume = volume_in_memory(np.zeros((8, 8, 4)), np.diag([1.0, 1.0, 2.0, 1.0]))
    fine = resample(volume, (0.5, 0.5, 1.0))
    labels = np.zeros(fine.shape, dtype=np.int16)
    labels[:8] = 3
    assert set(np.unique(to_source_grid(labels, fine))) == {0, 3}
    chances = to_source_grid(np.full(fine.shape, 0.25, dtype=np.float32), fine)
    np.testing.assert_allclose(chances, 0.25, rtol=0, atol=1e-6)


def test_a_tilted_stack_becomes_straight_and_its_mask_goes_back() -> None:
    tilt = np.tan(np.radians(15.0))
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    affine[1, 2] = -2.0 * tilt
    tilted = ramp(affine, (24, 24, 10))
    straight = straighten(tilted)
    assert is_sheared(tilted.voxel_to_ras)
    assert not is_sheared(straight.voxel_to_ras)
    np.testing.assert_allclose(straight.spacing_mm, (1.0, 1.0, 2.0), rtol=0, atol=1e-9)
    # The shear moves the last slice by 9 * 2 mm * tan(15): the grid grows by ten slice steps of that.
    assert straight.shape[1] == 24 + int(np.ceil(10 * 2 * tilt))
    middle = tuple(size // 2 for size in straight.shape)
    expected = ramp(straight.voxel_to_ras, straight.shape).voxels[middle]
    assert straight.voxels[middle] == pytest.approx(expected, abs=1e-4)
    mask = np.zeros(tilted.shape, dtype=np.float32)
    mask[6:18, 8:16, 2:8] = 1
    volume = straighten(volume_in_memory(mask, affine))
    back = to_source_grid(volume.voxels > 0.5, volume)
    assert np.linalg.norm(centroid(back, affine) - centroid(mask > 0, affine)) < 0.5


def test_a_straight_volume_is_left_as_it_is() -> None:
    volume = volume_in_memory(lopsided_mask().astype(np.uint8), affine_of((0, 1, 2), (1.0, 1.0, 1.0), 27.0))
    assert straighten(volume) is volume


def test_the_extent_stays_within_half_a_new_voxel() -> None:
    volume = volume_in_memory(np.zeros((30, 20, 10)), np.diag([0.7, 0.9, 3.3, 1.0]))
    for spacing in ((1.0, 1.0, 1.0), (0.3, 2.0, 5.0)):
        after = grid_of_spacing(grid_of(volume), spacing)
        apart = np.abs(np.array(after.shape) * spacing - np.array(volume.shape) * volume.spacing_mm)
        assert (apart <= 0.5 * np.array(spacing) + 1e-9).all()


def test_impossible_spacings_are_refused() -> None:
    volume = volume_in_memory(np.zeros((2, 2, 2)), np.eye(4))
    with pytest.raises(InvalidInputError, match="three positive lengths"):
        resample(volume, (1.0, 0.0, 1.0))
    with pytest.raises(SizeLimitError, match="Widen the spacing"):
        resample(volume, (1e-4, 1e-4, 1e-4))
