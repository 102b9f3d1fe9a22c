"""What is measured in masks: boxes and ellipsoids by hand, and laws: a volume's place changes none."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from medseg.errors import InvalidInputError
from medseg.study.orientation import canonicalise, move_to_ras
from medseg.study.quantities import Quantities, measure
from medseg.study.resampling import resample
from medseg.study.slice_axis import slice_axis, source_slice_axis, source_slice_numbers
from medseg.study.source_geometry import SourceGeometry
from medseg.study.volume import Volume, volume_in_memory
from tests.medseg.made_grids import ORIENTATIONS, affine_of, lopsided_mask


def found(mask: np.ndarray, volume: Volume) -> Quantities:
    """Quantities of a mask that is not empty."""
    quantities = measure(mask, volume)
    assert quantities is not None
    return quantities


def same(one: Quantities, other: Quantities, but: tuple[str, ...] = ()) -> None:
    """Raise unless all quantities agree to rounding."""
    for name, value in asdict(one).items():
        if name not in but:
            expected = value if isinstance(value, str) else pytest.approx(value, rel=1e-9)
            assert asdict(other)[name] == expected, name


def test_a_box_by_hand() -> None:
    mask = np.zeros((20, 16, 9), dtype=bool)
    mask[3:9, 4:6, 2:7] = True
    values = np.zeros(mask.shape, dtype=np.int16)
    values[mask] = 40
    values[3, 4, 2] = 100
    quantities = found(mask, volume_in_memory(values, np.diag([0.5, 2.0, 4.0, 1.0]), modality="CT", unit="HU"))
    assert quantities.voxels == 60
    assert quantities.volume_ml == pytest.approx(60 * 0.5 * 2 * 4 / 1000, rel=1e-12)
    assert (quantities.area_pixels, quantities.area_mm2) == (12, pytest.approx(12.0, rel=1e-12))
    # 3 mm x 4 mm in the plane: diagonal 5, across it 3.75; all slices are alike, so the first is named.
    assert (quantities.long_axis_mm, quantities.short_axis_mm) == pytest.approx((5.0, 3.75), rel=1e-12)
    assert (quantities.axis_slice, quantities.slice_axis) == (2, "k")
    assert (quantities.components, quantities.touches_border) == (1, False)
    assert quantities.intensity_mean == pytest.approx(41.0, rel=1e-12)  # 59 of 40 and one of 100
    assert quantities.intensity_std == pytest.approx(np.sqrt(59 + 59**2) / np.sqrt(60), rel=1e-12)
    assert (quantities.intensity_min, quantities.intensity_max, quantities.unit) == (40.0, 100.0, "HU")


def test_an_ellipsoid_in_anisotropic_voxels() -> None:
    spacing, half_axes = np.array([0.8, 1.3, 2.5]), np.array([30.0, 18.0, 25.0])
    shape = tuple(int(size) for size in np.ceil(2.2 * half_axes / spacing))
    places = [(np.arange(size) - (size - 1) / 2) * step for size, step in zip(shape, spacing, strict=True)]
    x, y, z = np.meshgrid(*places, indexing="ij")
    mask = (x / 30) ** 2 + (y / 18) ** 2 + (z / 25) ** 2 <= 1
    quantities = found(mask, volume_in_memory(mask.astype(np.uint8), np.diag([*spacing, 1.0])))
    assert quantities.volume_ml == pytest.approx(4 / 3 * np.pi * 30 * 18 * 25 / 1000, rel=0.01)
    assert quantities.area_mm2 == pytest.approx(np.pi * 30 * 18, rel=0.01)
    pixel = float(np.hypot(0.8, 1.3))  # outer edges: up to a pixel's diagonal above the true length
    assert 60 - 0.8 <= (quantities.long_axis_mm or 0) <= 60 + pixel
    assert 36 - 1.3 <= (quantities.short_axis_mm or 0) <= 36 + pixel
    assert abs(quantities.axis_slice - (shape[2] - 1) / 2) <= 1


@pytest.mark.parametrize("degrees", [0.0, 27.0])
def test_where_a_volume_lies_changes_nothing(degrees: float) -> None:
    mask = lopsided_mask()
    values = np.random.default_rng(1).integers(-900, 900, mask.shape).astype(np.int16)
    expected = found(mask, volume_in_memory(values, np.diag([0.7, 1.1, 4.5, 1.0])))
    for order, signs in ORIENTATIONS[::3]:
        same(expected, found(mask, volume_in_memory(values, affine_of(order, signs, degrees))))


def test_turned_axes_change_nothing_and_slices_keep_their_numbers() -> None:
    mask = lopsided_mask()
    values = np.random.default_rng(2).normal(size=mask.shape).astype(np.float32)
    for order, signs in ORIENTATIONS:
        volume = volume_in_memory(values, affine_of(order, signs, 9.0))
        turned = canonicalise(volume)
        mask_turned = move_to_ras(volume.voxel_to_ras).apply(mask)
        same(found(mask, volume), found(mask_turned, turned))


def test_a_stack_stored_along_another_axis_is_measured_in_its_own_slices() -> None:
    mask = lopsided_mask()
    values = np.zeros(mask.shape)
    usual = found(mask, volume_in_memory(values, np.diag([0.7, 1.1, 4.5, 1.0])))
    moved = volume_in_memory(np.moveaxis(values, 2, 0), np.diag([4.5, 0.7, 1.1, 1.0]))
    stored = found(np.moveaxis(mask, 2, 0), moved)
    assert (usual.slice_axis, stored.slice_axis) == ("k", "i")
    same(usual, stored, but=("slice_axis",))


def test_slices_of_dicom_are_k_whatever_the_spacing() -> None:
    affine = np.diag([5.0, 1.0, 1.0, 1.0])
    assert source_slice_axis(SourceGeometry(format="dicom", shape=(9, 9, 9), voxel_to_ras=affine)) == 2
    assert source_slice_axis(SourceGeometry(format="itk", shape=(9, 9, 9), voxel_to_ras=affine)) == 0
    assert source_slice_axis(SourceGeometry(format="itk", shape=(9, 1, 9), voxel_to_ras=affine)) == 1
    assert source_slice_axis(SourceGeometry(format="nifti", shape=(9, 9, 9), voxel_to_ras=np.eye(4))) == 2


def test_a_resampled_volume_names_the_nearest_slice_of_the_files() -> None:
    mask = np.zeros((16, 16, 6), dtype=bool)
    mask[4:12, 5:9, 4] = True
    volume = volume_in_memory(mask.astype(np.float32), np.diag([1.0, 1.0, -3.0, 1.0]))
    fine = resample(canonicalise(volume), (1.0, 1.0, 1.0))
    assert slice_axis(fine) == 2
    # Slices of the files run downwards: three fine ones stand for each, the last of the files first.
    assert source_slice_numbers(fine).tolist() == [5, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0]
    assert found(fine.voxels > 0.5, fine).axis_slice == 4


def test_a_tilted_stack_is_measured_in_its_slices() -> None:
    tilted = np.diag([1.0, 1.0, 3.0, 1.0])
    tilted[1, 2] = 0.8  # slices are shifted against each other; their planes and their distance stay
    mask = lopsided_mask()
    values = np.zeros(mask.shape)
    same(
        found(mask, volume_in_memory(values, np.diag([1.0, 1.0, 3.0, 1.0]))),
        found(mask, volume_in_memory(values, tilted)),
    )


def test_two_lesions_of_a_slice_are_not_bridged() -> None:
    mask = np.zeros((30, 10, 3), dtype=bool)
    mask[1:5, 2:5, 1] = True
    mask[25:27, 2:4, 1] = True
    quantities = found(mask, volume_in_memory(mask.astype(np.uint8), np.eye(4)))
    assert quantities.long_axis_mm == pytest.approx(5.0, rel=1e-12)
    assert (quantities.components, quantities.area_pixels) == (2, 16)


def test_the_longest_region_wins_even_where_another_box_is_larger() -> None:
    mask = np.zeros((12, 12, 2), dtype=bool)
    mask[:9, 0, 0] = mask[0, :9, 0] = True  # an L: its box has the diagonal of 9 x 9, its hull is cut
    mask[1:11, 1:9, 1] = True
    quantities = found(mask, volume_in_memory(mask.astype(np.uint8), np.eye(4)))
    assert (quantities.axis_slice, quantities.long_axis_mm) == (1, pytest.approx(np.hypot(10, 8), rel=1e-12))


def test_corners_that_touch_are_one_part() -> None:
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[1, 1, 1] = mask[2, 2, 2] = True
    assert found(mask, volume_in_memory(mask.astype(np.uint8), np.eye(4))).components == 1


@pytest.mark.parametrize(("axis", "place"), [(0, 0), (0, -1), (1, 0), (1, -1), (2, 0), (2, -1)])
def test_every_border_is_seen(axis: int, place: int) -> None:
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[2, 3, 3] = True
    volume = volume_in_memory(mask.astype(np.uint8), np.eye(4))
    assert not found(mask, volume).touches_border
    np.moveaxis(mask, axis, 0)[place] = True
    assert found(mask, volume).touches_border


def test_pictures_have_no_millilitres_and_no_border_in_depth() -> None:
    mask = np.zeros((8, 8, 1), dtype=bool)
    mask[2:5, 2:6] = True
    picture = replace(volume_in_memory(np.zeros((8, 8, 1, 3), np.uint8), np.eye(4)), space="picture")
    quantities = found(mask, picture)
    assert quantities.volume_ml is None
    assert quantities.intensity_mean is None
    assert quantities.area_mm2 == pytest.approx(12.0)
    assert not quantities.touches_border
    unknown = found(mask, replace(picture, spacing_known=False))
    assert (unknown.area_mm2, unknown.long_axis_mm, unknown.short_axis_mm) == (None, None, None)
    assert unknown.area_pixels == 12


def test_frames_in_time_have_no_border_and_no_volume() -> None:
    mask = np.zeros((8, 8, 3), dtype=bool)
    mask[2:5, 2:6, 0] = True
    frames = replace(volume_in_memory(np.zeros((8, 8, 3), np.uint8), np.eye(4)), space="frames")
    assert not found(mask, frames).touches_border
    assert found(mask, frames).volume_ml is None


def test_nothing_is_measured_in_an_empty_mask() -> None:
    assert measure(np.zeros((3, 3, 3), dtype=bool), volume_in_memory(np.zeros((3, 3, 3)), np.eye(4))) is None


def test_masks_of_another_grid_or_kind_are_refused() -> None:
    volume = volume_in_memory(np.zeros((3, 4, 5)), np.eye(4))
    with pytest.raises(InvalidInputError, match=r"\(3, 4, 5\), found bool of \(5, 4, 3\)"):
        measure(np.zeros((5, 4, 3), dtype=bool), volume)
    with pytest.raises(InvalidInputError, match="found uint8"):
        measure(np.zeros((3, 4, 5), dtype=np.uint8), volume)
