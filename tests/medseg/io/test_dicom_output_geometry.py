"""Masks of series in all orientations, written as SEG, RTSTRUCT and NIfTI, lie where the slices were, read by others.

The 48 orientations are 24 of the images' rows and columns (slices are sorted along their normal, so that half of the
48 are the other half read backwards) and both directions of the slices; each is oblique and anisotropic.
"""

from __future__ import annotations

from pathlib import Path

import highdicom as hd
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset

from medseg.io.read_dicom_seg import read_dicom_seg
from medseg.io.read_rtstruct import read_rtstruct
from medseg.io.read_study import ReadOptions, read_study
from medseg.io.write_dicom_seg import write_dicom_seg
from medseg.io.write_masks import write_mask_nifti
from medseg.io.write_rtstruct import write_rtstruct
from medseg.study.affine import LPS_TO_RAS
from medseg.study.orientation import canonicalise, move_between
from medseg.study.resampling import resample, straighten, to_source_grid
from medseg.study.volume import Volume
from tests.medseg.made_findings import finding
from tests.medseg.made_grids import DEGREES, ORIENTATIONS, affine_of, centroid, lopsided_mask
from tests.medseg.made_series import noise, straight_positions, write_slices

SPACING = (0.7, 1.1, 4.5)
SHAPE = (14, 11, 7)


def series_of(folder: Path, axes: np.ndarray, shear: float = 0.0) -> tuple[Volume, np.ndarray]:
    """A series with bright voxels where the lopsided mask is, and the place of their middle, RAS mm.

    Column n of `axes` is the step of one voxel along axis n, LPS mm.
    """
    mask = lopsided_mask(SHAPE)
    pixels = np.where(mask, 1500, 0).astype(np.int16).transpose(2, 1, 0)
    steps = axes.copy()
    steps[:, 2] += shear * axes[:, 1]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, (5.0, -7.0, 11.0)
    positions = [affine[:3, 3] + k * steps[:, 2] for k in range(SHAPE[2])]
    unit = axes / np.linalg.norm(axes, axis=0)
    write_slices(folder, pixels, positions, [*unit[:, 0], *unit[:, 1]], (SPACING[1], SPACING[0]))
    return read_study(folder).volume, centroid(mask, LPS_TO_RAS @ affine)


def middle_of_seg(path: Path) -> np.ndarray:
    """The middle of the first segment as highdicom has it, RAS mm."""
    volume = hd.seg.segread(path).get_volume(segment_numbers=[1], allow_missing_positions=True)
    return centroid(np.asarray(volume.array)[..., 0] > 0, volume.get_affine("RAS"))


def middle_of_frames(path: Path) -> np.ndarray:
    """The middle from the frames' own places, read with pydicom alone; right for tilted frames too."""
    dataset = dcmread(path)
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=np.float64)
    rows_mm, columns_mm = shared.PixelMeasuresSequence[0].PixelSpacing
    places = []
    for frame, group in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
        row, column = np.nonzero(frame)
        places.append(
            origin + np.outer(column * columns_mm, orientation[:3]) + np.outer(row * rows_mm, orientation[3:])
        )
    return np.concatenate(places).mean(axis=0) * (-1, -1, 1)


def middle_of_contours(path: Path) -> np.ndarray:
    """The middle of the areas that the contours enclose, in the patient, RAS mm."""
    dataset = dcmread(path)
    areas, middles = [], []
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        points = np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3)
        spokes = points - points[0]
        turns = np.cross(spokes, np.roll(spokes, -1, axis=0))
        normal = turns.sum(axis=0) / np.linalg.norm(turns.sum(axis=0))
        parts = turns @ normal / 2
        thirds = (points + np.roll(points, -1, axis=0) + points[0]) / 3
        areas.append(parts.sum())
        middles.append((parts[:, None] * thirds).sum(axis=0))
    return np.sum(middles, axis=0) / np.sum(areas) * (-1, -1, 1)


def blobs(shape: tuple[int, ...]) -> np.ndarray:
    """Coarse random patches, some of them with holes."""
    patches = np.random.default_rng(3).random([-(-size // 4) for size in shape]) < 0.6
    return np.kron(patches, np.ones((4, 4, 4), dtype=bool))[: shape[0], : shape[1], : shape[2]]


def check_everything(folder: Path, series: Volume, asked: Volume, middle: np.ndarray) -> None:
    """Write the mask that `asked` shows, and let everybody read it."""
    mask = asked.voxels > -274  # half way between the values, -1024 and 476
    findings = [finding("liver", mask)]
    seg, rt, nifti = folder / "seg.dcm", folder / "rt.dcm", folder / "mask.nii"
    write_dicom_seg(seg, findings, asked)
    write_rtstruct(rt, findings, asked)
    write_mask_nifti(nifti, mask, asked)
    stored = to_source_grid(mask, asked)
    # Decimal strings of 16 characters and float32 keep a micrometre of about 100 mm.
    for found in (middle_of_seg(seg), middle_of_frames(seg), middle_of_contours(rt)):
        np.testing.assert_allclose(found, middle, rtol=0, atol=1e-4)
    theirs = nibabel.Nifti1Image.from_filename(nifti)
    np.testing.assert_allclose(centroid(np.asarray(theirs.dataobj) > 0, theirs.affine), middle, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(theirs.dataobj) > 0, stored)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(nifti)).transpose(2, 1, 0) > 0, stored)
    for one in (read_dicom_seg(seg, asked), read_rtstruct(rt, asked)):
        assert one.notices == ()
        np.testing.assert_array_equal(one.masks[0].mask, mask)
    whole = hd.seg.segread(seg).get_volume(segment_numbers=[1], allow_missing_positions=True)
    mine = series.source
    full = np.zeros(mine.shape, dtype=bool)
    onto = np.rint(np.linalg.solve(mine.voxel_to_ras, whole.get_affine("RAS"))).astype(int)
    for index in np.argwhere(np.asarray(whole.array)[..., 0] > 0):
        full[tuple(onto[:3, :3] @ index + onto[:3, 3])] = True
    np.testing.assert_array_equal(full, stored)


@pytest.mark.parametrize("number", range(48))
def test_all_orientations(tmp_path: Path, number: int) -> None:
    order, signs = ORIENTATIONS[number]
    axes = affine_of(order, signs, DEGREES[number % 3])[:3, :3]
    volume, middle = series_of(tmp_path / "series", axes)
    check_everything(tmp_path, volume, canonicalise(volume), middle)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("number", range(48))
def test_all_orientations_at_all_angles(tmp_path: Path, number: int, degrees: float) -> None:
    volume, middle = series_of(tmp_path / "series", affine_of(*ORIENTATIONS[number], degrees)[:3, :3])
    check_everything(tmp_path, volume, volume, middle)


def test_tilted_series_keep_their_tilt(tmp_path: Path) -> None:
    volume, middle = series_of(tmp_path / "series", np.diag(SPACING), shear=np.tan(np.radians(20.0)) * 4.5 / 1.1)
    findings = [finding("liver", volume.voxels > 0)]
    write_dicom_seg(tmp_path / "seg.dcm", findings, volume)
    write_rtstruct(tmp_path / "rt.dcm", findings, volume)
    np.testing.assert_allclose(middle_of_frames(tmp_path / "seg.dcm"), middle, rtol=0, atol=1e-4)
    np.testing.assert_allclose(middle_of_contours(tmp_path / "rt.dcm"), middle, rtol=0, atol=1e-4)
    for one in (read_dicom_seg(tmp_path / "seg.dcm", volume), read_rtstruct(tmp_path / "rt.dcm", volume)):
        np.testing.assert_array_equal(one.masks[0].mask, volume.voxels > 0)
    straight = resample(canonicalise(straighten(volume)), (1.0, 1.0, 2.0))
    write_dicom_seg(tmp_path / "b.dcm", [finding("liver", straight.voxels > -274)], straight)
    assert np.linalg.norm(middle_of_frames(tmp_path / "b.dcm") - middle) < 0.5 * SPACING[2]


def test_series_with_a_gap_keep_the_slices_that_were_read(tmp_path: Path) -> None:
    positions = [place for number, place in enumerate(straight_positions(9)) if number != 3]
    folder = write_slices(tmp_path / "series", noise(8), positions)
    volume = read_study(folder, options=ReadOptions(gaps="longest")).volume
    mask = np.ones(volume.shape, dtype=bool)
    write_dicom_seg(tmp_path / "seg.dcm", [finding("liver", mask)], volume)
    write_rtstruct(tmp_path / "rt.dcm", [finding("liver", mask)], volume)
    heights = [
        float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        for group in dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence
    ]
    assert sorted(heights) == [positions[number][2] for number in range(3, 8)]
    contours = dcmread(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence
    assert [float(contour.ContourData[2]) for contour in contours] == sorted(heights)


def test_directions_that_were_mended_are_written_mended(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "series", noise(), straight_positions(5), (1, 0.004, 0, 0, 1, 0))
    volume = read_study(folder).volume
    write_dicom_seg(tmp_path / "seg.dcm", [finding("liver", volume.voxels > 0)], volume)
    shared = dcmread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0]
    across, down = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    assert abs(across @ down) < 1e-9
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "seg.dcm", volume).masks[0].mask, volume.voxels > 0)


def test_orientations_within_rounding_of_each_other_are_one(tmp_path: Path) -> None:
    def jitter(made: Dataset, number: int) -> None:
        made.ImageOrientationPatient = [1, 0.0001 * (number % 2), 0, 0, 1, 0]

    folder = write_slices(tmp_path / "series", noise(), straight_positions(5), change=jitter)
    volume = read_study(folder).volume
    write_dicom_seg(tmp_path / "seg.dcm", [finding("liver", volume.voxels > 0)], volume)
    found = read_dicom_seg(tmp_path / "seg.dcm", volume)
    np.testing.assert_array_equal(found.masks[0].mask, volume.voxels > 0)


@pytest.mark.parametrize(
    "name",
    [
        "dicom_seg_rtstruct/dcmqi/ct-3slice",
        "dicom_seg_rtstruct/dcmqi_tiny/23x38x3/image",
        "dicom_seg_rtstruct/dcmqi_tiny/24x38x3/image",
        "dicom_seg_rtstruct/dcmqi_tiny/23x38x3/multiframe/mf.dcm",
        "dicom_seg_rtstruct/rt_utils/mock_data",
    ],
)
def test_real_series_get_their_masks_back(tmp_path: Path, shared_data: Path, name: str) -> None:
    volume = canonicalise(read_study(shared_data / name).volume)
    mask = blobs(volume.shape)
    findings = [finding("bone", mask)]
    write_dicom_seg(tmp_path / "seg.dcm", findings, volume)
    theirs = hd.seg.segread(tmp_path / "seg.dcm").get_volume(segment_numbers=[1], allow_missing_positions=True)
    source = volume.source
    move = move_between(theirs.get_affine("RAS"), theirs.spatial_shape, source.voxel_to_ras, source.shape)
    assert move is not None
    np.testing.assert_array_equal(move.apply(np.asarray(theirs.array)[..., 0] > 0), to_source_grid(mask, volume))
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "seg.dcm", volume).masks[0].mask, mask)
    write_rtstruct(tmp_path / "rt.dcm", [finding("bone", mask)], volume)
    np.testing.assert_array_equal(read_rtstruct(tmp_path / "rt.dcm", volume).masks[0].mask, mask)
