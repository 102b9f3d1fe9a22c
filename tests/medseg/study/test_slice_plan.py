"""Slices as upright pictures: which plane, which way up, and the exact way back."""

from __future__ import annotations

import numpy as np
import pytest

from medseg.errors import InvalidInputError
from medseg.study.orientation import canonicalise
from medseg.study.slice_plan import plan_slices, stretch
from medseg.study.study import Notice, Study
from medseg.study.volume import Volume, volume_in_memory
from tests.medseg.made_grids import ORIENTATIONS, affine_of


def marked(order: tuple[int, ...], signs: tuple[float, ...]) -> tuple[Volume, dict[str, int]]:
    """A volume of four marked voxels: the middle, and its neighbours to the right, to the front and to the head."""
    volume = volume_in_memory(np.zeros((9, 9, 9)), affine_of(order, signs, 0.0))
    canonical = canonicalise(volume_in_memory(np.arange(729).reshape(9, 9, 9), volume.voxel_to_ras))
    numbers = canonical.voxels
    places = {
        "middle": numbers[4, 4, 4],
        "right": numbers[6, 4, 4],
        "front": numbers[4, 6, 4],
        "head": numbers[4, 4, 6],
    }
    return (
        volume_in_memory(np.arange(729).reshape(9, 9, 9), volume.voxel_to_ras),
        {name: int(number) for name, number in places.items()},
    )


def test_pictures_are_the_radiologists_view_from_every_orientation() -> None:
    for order, signs in ORIENTATIONS:
        volume, marks = marked(order, signs)

        def place(plane: str, mark: str, volume: Volume = volume, marks: dict[str, int] = marks) -> tuple[int, ...]:
            plan = plan_slices(volume, plane)  # type: ignore[arg-type]
            (found,) = np.argwhere(plan.pictures(volume.voxels) == marks[mark])
            return tuple(int(value) for value in found)

        # [slice row column]: the patient's right is at the picture's left, the front and the head are on top.
        assert place("axial", "right") == (4, 4, 2)
        assert place("axial", "front") == (4, 2, 4)
        assert place("axial", "head") == (6, 4, 4)
        assert place("coronal", "right") == (4, 4, 2)
        assert place("coronal", "head") == (4, 2, 4)
        # From the side the front is at the left.
        assert place("sagittal", "front") == (4, 4, 2)
        assert place("sagittal", "head") == (4, 2, 4)


def test_masks_come_back_exactly() -> None:
    values = np.random.default_rng(1).integers(0, 5, (6, 7, 8))
    for order, signs in ORIENTATIONS:
        volume = volume_in_memory(values, affine_of(order, signs, 9.0))
        for plane in ("axial", "coronal", "sagittal"):
            plan = plan_slices(volume, plane)  # type: ignore[arg-type]
            np.testing.assert_array_equal(plan.volume_of(plan.pictures(values)), values)
            np.testing.assert_array_equal(plan.picture(volume, 2), plan.pictures(values)[2])


@pytest.mark.parametrize(
    ("spacing", "plane"),
    [
        ((1.0, 1.0, 5.0), "axial"),
        ((5.0, 1.0, 1.0), "sagittal"),
        ((1.0, 5.0, 1.0), "coronal"),
        ((1.0, 1.4, 1.0), "axial"),  # nearly alike
    ],
)
def test_slices_go_across_the_widest_spacing(spacing: tuple[float, float, float], plane: str) -> None:
    volume = volume_in_memory(np.zeros((4, 5, 6)), np.diag([*spacing, 1.0]))
    assert plan_slices(volume).plane == plane


def test_a_single_slice_is_its_own_plane_however_thin() -> None:
    coronal = volume_in_memory(np.zeros((4, 1, 6)), np.diag([2.0, 0.5, 2.0, 1.0]))
    assert plan_slices(coronal).plane == "coronal"
    assert plan_slices(coronal).shape == (1, 6, 4)


def test_square_pixels_and_back() -> None:
    volume = volume_in_memory(np.zeros((40, 30, 5)), np.diag([0.5, 1.0, 6.0, 1.0]))
    plan = plan_slices(volume)
    assert plan.square_size == (60, 40)  # rows of 1 mm become two of 0.5 mm each
    disc = np.zeros((30, 40), dtype=np.float32)
    disc[10:20, 12:31] = 1
    square = stretch(disc, plan.square_size)
    assert square.sum() == pytest.approx(2 * disc.sum(), rel=0.01)
    back = stretch(square, (30, 40)) > 0.5
    np.testing.assert_array_equal(back, disc > 0.5)


def test_wrong_slices_are_refused() -> None:
    volume = volume_in_memory(np.zeros((4, 5, 6)), np.eye(4))
    plan = plan_slices(volume)
    with pytest.raises(InvalidInputError, match="0 to 5, found 6"):
        plan.picture(volume, 6)
    with pytest.raises(InvalidInputError, match="one per slice"):
        plan.volume_of(np.zeros((5, 5, 4)))
    with pytest.raises(InvalidInputError, match="Plan for this volume"):
        plan.pictures(np.zeros((5, 5, 6)))


def test_a_study_names_its_one_volume() -> None:
    with pytest.raises(InvalidInputError, match="at least one, found 0"):
        Study(series=(), volumes=())
    assert str(Notice(code="gantry_tilt", text="Tilted.")) == "gantry_tilt: Tilted."
