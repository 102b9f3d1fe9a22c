"""Slices of a series in their place: order, oblique directions, tilt, gaps, doubles; as SimpleITK reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from scipy.spatial.transform import Rotation

from medseg.errors import GeometryError
from medseg.io.read_study import ReadOptions, list_series, read_study
from medseg.study.affine import LPS_TO_RAS, is_sheared, to_ras
from medseg.study.resampling import straighten
from tests.medseg.made_series import noise, straight_positions, write_enhanced, write_slices


def test_slices_are_sorted_along_their_normal_whatever_their_names_and_numbers(tmp_path: Path) -> None:
    pixels = noise()

    def shuffle_numbers(made: Dataset, number: int) -> None:
        made.InstanceNumber = (number * 3) % 5

    volume = read_study(write_slices(tmp_path, pixels, straight_positions(5), change=shuffle_numbers)).volume
    np.testing.assert_array_equal(volume.voxels, pixels.transpose(2, 1, 0) - 1024)
    assert volume.orientation == "LPS"
    np.testing.assert_allclose(volume.spacing_mm, (0.9, 0.7, 2.0), rtol=0, atol=1e-12)
    # RAS has the first two signs of LPS turned: the first voxel is at (-10, -20, -50) LPS.
    np.testing.assert_allclose(volume.voxel_to_ras[:3, 3], (10.0, 20.0, -50.0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_oblique_series_lie_where_simpleitk_puts_them(tmp_path: Path, seed: int) -> None:
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    origin = np.array([12.0, -34.0, 56.0])
    positions = [origin + 2.5 * number * turn[:, 2] for number in range(5)]
    folder = write_slices(tmp_path, noise(), positions, [*turn[:, 0], *turn[:, 1]])
    volume = read_study(folder).volume
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    theirs = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(theirs.GetDirection(), (3, 3)) * theirs.GetSpacing()
    affine[:3, 3] = theirs.GetOrigin()
    # Both come from decimal strings of 16 characters.
    np.testing.assert_allclose(volume.voxel_to_ras, LPS_TO_RAS @ affine, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(volume.voxels, sitk.GetArrayFromImage(theirs).transpose(2, 1, 0))


def test_each_slice_names_its_object(tmp_path: Path) -> None:
    source = read_study(write_slices(tmp_path, noise(), straight_positions(5))).volume.source
    assert len(source.slices) == len(source.files) == 5
    assert len({one.sop_instance_uid for one in source.slices}) == 5
    assert [source.files[one.file].path.name[3:6] for one in source.slices] == [
        f"{number:03d}" for number in np.random.default_rng(5).permutation(5)
    ]
    assert source.series_uid
    assert source.frame_of_reference_uid


def test_a_tilted_gantry_is_written_into_the_affine_and_said(tmp_path: Path) -> None:
    tilt = np.tan(np.radians(12.0))
    positions = [(0.0, 2.0 * number * tilt, 2.0 * number) for number in range(6)]
    folder = write_slices(tmp_path, noise(6), positions)
    study = read_study(folder)
    (notice,) = study.noticed("gantry_tilt")
    assert "12.00 degrees" in notice.text
    assert is_sheared(study.volume.voxel_to_ras)
    places = to_ras(study.volume.voxel_to_ras, np.array([[0.0, 0.0, number] for number in range(6)]))
    np.testing.assert_allclose(places, np.array(positions) * (-1, -1, 1), rtol=0, atol=1e-9)
    assert not is_sheared(straighten(study.volume).voxel_to_ras)
    assert study.volume.voxel_ml == pytest.approx(0.7 * 0.9 * 2.0 / 1000)
    with pytest.raises(GeometryError, match=r"gantry tilt of 12\.00 degrees"):
        read_study(folder, options=ReadOptions(tilt="refuse"))


def test_rounded_positions_are_no_tilt(tmp_path: Path) -> None:
    positions = [(0.0, 0.0005 * (number % 2), 2.0 * number) for number in range(6)]
    study = read_study(write_slices(tmp_path, noise(6), positions))
    assert study.notices == ()
    assert not is_sheared(study.volume.voxel_to_ras)


def test_a_missing_slice_is_refused_and_named(tmp_path: Path) -> None:
    positions = [place for number, place in enumerate(straight_positions(9)) if number != 3]
    folder = write_slices(tmp_path, noise(8), positions)
    with pytest.raises(GeometryError, match=r"1 missing slice\(s\) of 4\.000 mm after slice 3 of 8"):
        read_study(folder)
    study = read_study(folder, options=ReadOptions(gaps="longest"))
    (notice,) = study.noticed("slices_left_out")
    assert "slices 4 to 8 of 8" in notice.text
    assert study.volume.shape[2] == 5
    assert len(study.volume.source.slices) == 5
    assert study.volume.voxel_to_ras[2, 3] == pytest.approx(-50 + 4 * 2.0)


def test_uneven_gaps_are_refused(tmp_path: Path) -> None:
    positions = [(0.0, 0.0, height) for height in (0.0, 2.0, 4.0, 6.7, 8.7)]
    with pytest.raises(GeometryError, match=r"an uneven gap of 2\.700 mm after slice 3"):
        read_study(write_slices(tmp_path, noise(), positions))


@pytest.mark.parametrize("wobble", [0.0, 0.015])
def test_gaps_within_one_percent_count_as_even(tmp_path: Path, wobble: float) -> None:
    positions = [(0.0, 0.0, 2.0 * number + wobble * (number == 2)) for number in range(5)]
    assert read_study(write_slices(tmp_path, noise(), positions)).volume.spacing_mm[2] == pytest.approx(2.0)


def test_a_slice_beside_the_row_is_refused(tmp_path: Path) -> None:
    positions = straight_positions(5)
    positions[2] = (-10.0, -16.0, positions[2][2])
    with pytest.raises(GeometryError, match=r"straight row, found one 4\.00 mm beside it"):
        read_study(write_slices(tmp_path, noise(), positions))


def test_the_same_slice_twice_is_left_out_and_a_different_one_refused(tmp_path: Path) -> None:
    pixels, places = noise(), straight_positions(5)
    twice = write_slices(tmp_path / "twice", np.concatenate([pixels, pixels[1:2]]), [*places, places[1]])
    study = read_study(twice)
    assert study.volume.shape[2] == 5
    assert "1 slice(s) were there twice" in study.noticed("copies_left_out")[0].text
    other = write_slices(tmp_path / "other", np.concatenate([pixels, pixels[1:2] + 1]), [*places, places[1]])
    with pytest.raises(GeometryError, match=r"two different ones at -48\.00 mm"):
        read_study(other)


@pytest.mark.parametrize(
    "keyword", ["AcquisitionNumber", "TemporalPositionIdentifier", "EchoNumbers", "DiffusionBValue"]
)
def test_acquisitions_of_one_place_are_series_of_their_own(tmp_path: Path, keyword: str) -> None:
    pixels, places = noise(10), straight_positions(5)

    def number_them(made: Dataset, number: int) -> None:
        setattr(made, keyword, 1 + number // 5)

    folder = write_slices(tmp_path, pixels, [*places, *places], change=number_them)
    first, second = list_series(folder)
    assert first.split_by[:-3] == second.split_by[:-3]  # the same words, up to the number
    chosen = min(first, second, key=lambda facts: facts.split_by)
    volume = read_study(folder, series=chosen.key).volume
    np.testing.assert_array_equal(volume.voxels, pixels[:5].transpose(2, 1, 0) - 1024)


def test_orientations_of_one_series_are_told_apart(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", noise(), straight_positions(5))
    write_slices(tmp_path / "b", noise(), [(2.0 * number, 0, 0) for number in range(5)], (0, 1, 0, 0, 0, -1))
    first, second = list_series(tmp_path)
    assert (first.plane, second.plane) == ("axial", "sagittal")
    assert first.key.removesuffix("/1") == second.key.removesuffix("/2")  # one series UID


def test_directions_are_mended_within_a_hundredth_and_refused_beyond(tmp_path: Path) -> None:
    mended = write_slices(tmp_path / "a", noise(), straight_positions(5), (1, 0.004, 0, 0, 1, 0))
    study = read_study(mended)
    assert study.noticed("directions_mended")
    assert not is_sheared(study.volume.voxel_to_ras)
    broken = write_slices(tmp_path / "b", noise(), straight_positions(5), (1, 0.3, 0, 0, 1, 0))
    with pytest.raises(GeometryError, match=r"cosine 0\.3000"):
        read_study(broken)


@pytest.mark.parametrize("first", [0.0, -50.0])
def test_frames_of_a_dose_lie_at_their_offsets(tmp_path: Path, first: float) -> None:
    pixels = noise(4)

    def dose(made: Dataset, number: int) -> None:
        made.Modality, made.NumberOfFrames, made.DoseUnits = "RTDOSE", 4, "GY"
        made.DoseGridScaling = 0.01
        made.GridFrameOffsetVector = [first + 3.0 * frame for frame in range(4)]
        made.PixelData = pixels.tobytes()

    volume = read_study(write_slices(tmp_path, pixels[:1], [(-10.0, -20.0, -50.0)], change=dose)).volume
    np.testing.assert_allclose(volume.voxels, 0.01 * pixels.transpose(2, 1, 0) - 1024, rtol=1e-6)
    np.testing.assert_allclose(volume.voxel_to_ras[2], (0.0, 0.0, 3.0, -50.0), rtol=0, atol=1e-9)
    assert volume.unit == "Gy"


def test_frames_of_one_file_have_their_own_places_and_slopes(tmp_path: Path) -> None:
    pixels = noise(4)
    order = [2, 0, 3, 1]
    positions = [straight_positions(4)[number] for number in order]
    path = write_enhanced(tmp_path / "enhanced.dcm", pixels, positions, slopes=[1.0, 2.0, 0.5, 1.0])
    volume = read_study(path).volume
    stored = np.empty((4, 6, 8), dtype=np.float32)
    for frame, (place, slope) in enumerate(zip(order, (1.0, 2.0, 0.5, 1.0), strict=True)):
        stored[place] = pixels[frame] * slope - 10
    np.testing.assert_array_equal(volume.voxels, stored.transpose(2, 1, 0))
    assert [one.frame for one in volume.source.slices] == [1, 3, 0, 2]
    assert len(volume.source.files) == 1
