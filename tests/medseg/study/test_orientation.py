"""Turning axes to RAS and back: every orientation, exact, and as nibabel does it."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from medseg.errors import GeometryError, InvalidInputError
from medseg.study.affine import axis_codes, check_affine, is_sheared, to_ras
from medseg.study.orientation import canonicalise, move_between, move_to_ras
from medseg.study.resampling import to_source_grid
from medseg.study.volume import volume_in_memory
from tests.medseg.made_grids import DEGREES, ORIENTATIONS, affine_of, centroid, lopsided_mask


@pytest.mark.parametrize("degrees", DEGREES)
def test_every_orientation_comes_to_ras_and_back_unchanged(degrees: float) -> None:
    mask = lopsided_mask()
    assert len({(order, signs) for order, signs in ORIENTATIONS}) == 48
    for order, signs in ORIENTATIONS:
        affine = affine_of(order, signs, degrees)
        volume = volume_in_memory(mask.astype(np.uint8), affine)
        turned = canonicalise(volume)
        assert turned.orientation == "RAS"
        # Voxels are moved, none is interpolated: the middle stays where it is to the last places of a float64.
        np.testing.assert_allclose(
            centroid(turned.voxels > 0, turned.voxel_to_ras), centroid(mask, affine), rtol=0, atol=1e-9
        )
        np.testing.assert_array_equal(to_source_grid(turned.voxels > 0, turned), mask)


def test_axes_are_turned_as_nibabel_turns_them() -> None:
    values = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    for order, signs in ORIENTATIONS:
        affine = affine_of(order, signs, 9.0)
        theirs = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine))
        ours = canonicalise(volume_in_memory(values, affine))
        np.testing.assert_array_equal(ours.voxels, np.asarray(theirs.dataobj))
        np.testing.assert_allclose(ours.voxel_to_ras, theirs.affine, rtol=0, atol=1e-9)
        assert axis_codes(affine) == "".join(nibabel.aff2axcodes(affine))


def test_a_move_and_its_undoing_are_inverse_for_colours_too() -> None:
    values = np.random.default_rng(0).integers(0, 9, (2, 3, 4, 3))
    for order, signs in ORIENTATIONS:
        move = move_to_ras(affine_of(order, signs, 0.0))
        np.testing.assert_array_equal(move.undo(move.apply(values)), values)


def test_a_voxel_keeps_its_place() -> None:
    affine = affine_of((2, 0, 1), (-1.0, 1.0, -1.0), 27.0)
    volume = volume_in_memory(np.zeros((3, 4, 5)), affine)
    numbered = volume_in_memory(np.arange(60).reshape(3, 4, 5), affine)
    turned = canonicalise(numbered)
    for value in (0, 17, 59):
        before = to_ras(affine, np.argwhere(numbered.voxels == value).astype(float))
        after = to_ras(turned.voxel_to_ras, np.argwhere(turned.voxels == value).astype(float))
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)
    assert volume.source.shape == turned.source.shape == (3, 4, 5)


def test_grids_that_are_not_the_same_voxels_have_no_move() -> None:
    one, shape = np.diag([1.0, 1.0, 2.0, 1.0]), (4, 5, 6)
    shifted = one.copy()
    shifted[0, 3] = 0.5
    assert move_between(one, shape, shifted, shape) is None
    assert move_between(one, shape, np.diag([1.0, 1.0, 1.0, 1.0]), shape) is None
    assert move_between(one, shape, one, (4, 5, 7)) is None
    assert move_between(one, shape, one, shape) is not None


def test_a_mask_of_another_grid_is_refused() -> None:
    volume = volume_in_memory(np.zeros((3, 4, 5)), np.eye(4))
    with pytest.raises(InvalidInputError, match=r"\(3, 4, 5\), found \(5, 4, 3\)"):
        to_source_grid(np.zeros((5, 4, 3), dtype=bool), volume)


def test_an_impossible_affine_is_refused() -> None:
    flat = np.eye(4)
    flat[:3, 2] = flat[:3, 1]
    for broken in (np.zeros((4, 4)), flat, np.full((4, 4), np.nan), np.eye(3)):
        with pytest.raises(GeometryError, match="expected"):
            check_affine(broken, "test")


def test_a_shear_is_seen() -> None:
    sheared = np.eye(4)
    sheared[1, 2] = 0.2
    assert is_sheared(sheared)
    assert not is_sheared(affine_of((2, 0, 1), (-1.0, 1.0, -1.0), 27.0))


def test_a_volume_is_read_only_and_leaves_its_array_writable() -> None:
    values = np.zeros((2, 2, 2))
    volume = volume_in_memory(values, np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        volume.voxels[0, 0, 0] = 1
    values[0, 0, 0] = 1
    assert volume.voxels[0, 0, 0] == 1
