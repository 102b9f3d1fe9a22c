"""SEG and RTSTRUCT of other makers lie where highdicom, their label maps and rt-utils put them."""

from __future__ import annotations

from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset
from scipy.ndimage import binary_dilation, binary_erosion

from medseg.errors import GeometryError, InvalidInputError, StudyFileError
from medseg.io.dicom_output import DicomWritten
from medseg.io.read_dicom_seg import read_dicom_seg
from medseg.io.read_rtstruct import read_rtstruct
from medseg.io.read_study import read_study
from medseg.io.write_dicom_seg import write_dicom_seg
from medseg.io.write_rtstruct import write_rtstruct
from medseg.study.affine import LPS_TO_RAS
from medseg.study.orientation import move_between
from medseg.study.resampling import resample
from medseg.study.volume import Volume
from tests.medseg.made_findings import box, finding
from tests.medseg.made_series import noise, straight_positions, write_slices

WITH_MAPS = (
    ("dcmqi/liver.dcm", "dcmqi/ct-3slice", ["dcmqi/liver_seg.nrrd"]),
    (
        "dcmqi/partial_overlaps.dcm",
        "dcmqi/ct-3slice",
        ["dcmqi/partial_overlaps-1.nrrd", "dcmqi/partial_overlaps-2.nrrd", "dcmqi/partial_overlaps-3.nrrd"],
    ),
    ("dcmqi_tiny/23x38x3/seg/label.seg", "dcmqi_tiny/23x38x3/image", ["dcmqi_tiny/23x38x3/nrrd/label.nrrd"]),
    (
        "dcmqi_tiny/24x38x3/seg/label.seg",
        "dcmqi_tiny/24x38x3/multiframe/mf.dcm",
        ["dcmqi_tiny/24x38x3/nrrd/label.nrrd"],
    ),
    ("dcmqi_tiny/sparse-labelmap-noppv.dcm", "dcmqi_tiny/24x38x3/image", ["dcmqi_tiny/sparse_labelmap_noppv_seg.nrrd"]),
    ("dcmqi_tiny/sparse-labelmap-ppv5.dcm", "dcmqi_tiny/24x38x3/image", ["dcmqi_tiny/sparse_labelmap_ppv5_seg.nrrd"]),
)  # fmt: skip
SLIDES = (
    ("seg_image_sm_control.dcm", "sm_image_control.dcm"),
    ("seg_image_sm_numbers.dcm", "sm_image_numbers.dcm"),
    ("seg_image_sm_dots.dcm", "sm_image_dots.dcm"),
    ("seg_image_sm_dots_tiled_full.dcm", "sm_image_dots.dcm"),
    ("seg_image_sm_control_labelmap.dcm", "sm_image_control.dcm"),
    ("seg_image_sm_control_labelmap_palette_color.dcm", "sm_image_control.dcm"),
)
CT_SEGS = ("ct_binary", "ct_binary_overlap", "ct_binary_fractional", "ct_true_fractional")


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return read_study(write_slices(tmp_path / "series", noise(5, 20, 24), straight_positions(5))).volume


def on_source(image: sitk.Image, volume: Volume) -> np.ndarray:
    """Values of a label map on the volume's voxels."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    move = move_between(LPS_TO_RAS @ affine, image.GetSize(), volume.voxel_to_ras, volume.shape)
    assert move is not None
    return move.apply(sitk.GetArrayFromImage(image).transpose(2, 1, 0))


@pytest.mark.parametrize(("name", "series", "maps"), WITH_MAPS)
def test_segmentations_are_their_label_maps(shared_data: Path, name: str, series: str, maps: list[str]) -> None:
    folder = shared_data / "dicom_seg_rtstruct"
    volume = read_study(folder / series).volume
    found = read_dicom_seg(folder / name, volume)
    expected = []
    background = {0, dcmread(folder / name).get("PixelPaddingValue", 0)}
    for one in maps:
        values = on_source(sitk.ReadImage(folder / one), volume)
        expected += [values == label for label in np.unique(values) if label not in background]
    for one in found.masks:
        assert one.mask.any()
        assert any(np.array_equal(one.mask, mask) for mask in expected), one.label
    assert len(found.masks) == len(expected)
    assert found.notices == ()


@pytest.mark.parametrize(("name", "slide"), SLIDES)
def test_tiled_segmentations_are_those_of_highdicom(shared_data: Path, name: str, slide: str) -> None:
    folder = shared_data / "dicom_seg_rtstruct/highdicom"
    found = read_dicom_seg(folder / name, read_study(folder / slide).volume)
    theirs = hd.seg.segread(folder / name)
    assert [one.number for one in found.masks] == list(theirs.segment_numbers)
    expected = theirs.get_total_pixel_matrix(segment_numbers=[one.number for one in found.masks])
    for place, one in enumerate(found.masks):
        np.testing.assert_array_equal(one.mask[..., 0].T, expected[..., place] > 0)


@pytest.mark.parametrize("name", CT_SEGS)
def test_segmentations_of_a_series_with_a_gap(shared_data: Path, name: str) -> None:
    folder = shared_data / "dicom_seg_rtstruct/highdicom"
    path = folder / f"seg_image_{name}.dcm"
    theirs = hd.seg.segread(path)
    # Four slices, of which three are next to each other: the volume holds one of them.
    uids = {one[2] for one in theirs.get_source_image_uids()}
    image = next(one for one in (folder / "source_ct_77654033_CT2").iterdir() if dcmread(one).SOPInstanceUID in uids)
    volume = read_study(image).volume
    found = read_dicom_seg(path, volume)
    sop = volume.source.slices[0].sop_instance_uid
    expected = theirs.get_pixels_by_source_instance(
        [sop], rescale_fractional=True, assert_missing_frames_are_empty=True
    )
    assert volume.shape[:2] == expected.shape[1:3][::-1]
    for place, one in enumerate(found.masks):
        share = expected[0, ..., place].T
        np.testing.assert_array_equal(one.mask[..., 0], share >= 0.5)
        if one.fraction is not None:
            np.testing.assert_allclose(one.fraction[..., 0], share, rtol=0, atol=1e-6)
    assert (theirs.segmentation_type.value == "FRACTIONAL") == (found.masks[0].fraction is not None)


def test_a_threshold_cuts_fractions(tmp_path: Path, volume: Volume) -> None:
    write_dicom_seg(tmp_path / "a.dcm", [finding("liver", box(volume, (2, 2, 1), (9, 9, 3)))], volume)
    template = dcmread(tmp_path / "a.dcm")
    shares = np.array([0, 63, 127, 128, 255], dtype=np.uint8)
    template.SegmentationType, template.SegmentationFractionalType = "FRACTIONAL", "PROBABILITY"
    template.MaximumFractionalValue = 255
    template.BitsAllocated, template.BitsStored, template.HighBit = 8, 8, 7
    pixels = np.zeros((template.NumberOfFrames, template.Rows, template.Columns), dtype=np.uint8)
    pixels[:, 3, :5] = shares
    template.PixelData = pixels.tobytes()
    template.save_as(tmp_path / "a.dcm")
    found = [read_dicom_seg(tmp_path / "a.dcm", volume, threshold=cut).masks[0] for cut in (0.2, 0.5, 1.0)]
    assert [int(one.mask.sum()) for one in found] == [4 * 2, 2 * 2, 1 * 2]
    assert found[0].fraction is not None
    np.testing.assert_allclose(found[0].fraction[:5, 3, 1], shares / 255, rtol=0, atol=1e-6)
    with pytest.raises(InvalidInputError, match="threshold"):
        read_dicom_seg(tmp_path / "a.dcm", volume, threshold=0)


def test_a_segmentation_on_another_grid_is_interpolated_and_says_so(tmp_path: Path, volume: Volume) -> None:
    mask = box(volume, (4, 4, 1), (18, 15, 4))
    written: DicomWritten = write_dicom_seg(tmp_path / "a.dcm", [finding("liver", mask)], volume)
    assert written.path is not None
    fine = write_slices(tmp_path / "fine", noise(9, 40, 48), straight_positions(9, step=1.0), spacing=(0.35, 0.45))
    other = read_study(fine).volume
    found = read_dicom_seg(tmp_path / "a.dcm", other)
    assert [notice.code for notice in found.notices] == ["resampled"]
    # Centres of the fine grid are 0, 1/2, 1 ... coarse voxels: those within half a voxel of the box.
    ml = found.masks[0].mask.sum() * other.voxel_ml
    np.testing.assert_allclose(ml, mask.sum() * volume.voxel_ml, rtol=0.15)
    coarse = resample(volume, (1.8, 1.4, 2.0))
    assert read_dicom_seg(tmp_path / "a.dcm", coarse).notices == ()


def test_masks_of_another_patient_space_are_refused(tmp_path: Path, volume: Volume) -> None:
    def elsewhere(made: Dataset, number: int) -> None:
        made.FrameOfReferenceUID = "1.2.3.4"

    mask = [finding("liver", volume.voxels > 0)]
    write_dicom_seg(tmp_path / "seg.dcm", mask, volume)
    write_rtstruct(tmp_path / "rt.dcm", mask, volume)
    other = write_slices(tmp_path / "x", noise(5, 20, 24), straight_positions(5), change=elsewhere, series="two")
    for read, name in ((read_dicom_seg, "seg.dcm"), (read_rtstruct, "rt.dcm")):
        with pytest.raises(GeometryError, match="another one and no reference"):
            read(tmp_path / name, read_study(other).volume)


def test_other_objects_are_refused(tmp_path: Path, volume: Volume, shared_data: Path) -> None:
    image = volume.source.files[0].path
    with pytest.raises(StudyFileError, match="expected a DICOM segmentation with segments"):
        read_dicom_seg(image, volume)
    with pytest.raises(StudyFileError, match="expected a DICOM RT structure set"):
        read_rtstruct(image, volume)
    report = shared_data / "dicom_seg_rtstruct/highdicom/sr_document.dcm"
    with pytest.raises(StudyFileError):
        read_dicom_seg(report, volume)


def test_names_that_hold_the_patients_are_replaced(tmp_path: Path, volume: Volume) -> None:
    findings = [finding("liver of Zyxwvuts", volume.voxels > 0)]
    write_dicom_seg(tmp_path / "seg.dcm", findings, volume)
    write_rtstruct(tmp_path / "rt.dcm", findings, volume)
    assert read_dicom_seg(tmp_path / "seg.dcm", volume).masks[0].label == "segment 1"
    assert read_rtstruct(tmp_path / "rt.dcm", volume).masks[0].label == "region 1"


def area_mm2(contour: Dataset) -> float:
    """Area within a contour in an axial plane."""
    x, y = np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3)[:, :2].T
    return abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())) / 2


@pytest.mark.parametrize("name", ["invalid_reference_rt.dcm", "non_existent_reference_rt.dcm"])
def test_structure_sets_with_wrong_references_lie_by_their_coordinates(shared_data: Path, name: str) -> None:
    folder = shared_data / "dicom_seg_rtstruct/rt_utils/mock_data"
    volume = read_study(folder).volume
    found = read_rtstruct(folder / name, volume)
    assert [notice.code for notice in found.notices] == ["contours_outside"]
    heights = [volume.voxel_to_ras[2, 3] + k * volume.voxel_to_ras[2, 2] for k in range(volume.shape[2])]
    for one, drawn in zip(found.masks, dcmread(folder / name).ROIContourSequence, strict=True):
        inside = [
            contour
            for contour in drawn.ContourSequence
            if np.abs(np.array(heights) - float(contour.ContourData[2])).min() < 0.1
        ]
        area = one.mask.sum() * volume.spacing_mm[0] * volume.spacing_mm[1]
        np.testing.assert_allclose(area, sum(map(area_mm2, inside)), rtol=0.03)


def test_structure_sets_are_those_of_rt_utils(shared_data: Path) -> None:
    folder = shared_data / "dicom_seg_rtstruct/rt_utils"
    builder = pytest.importorskip("rt_utils", reason="needs rt-utils (pip install rt-utils)").RTStructBuilder
    volume = read_study(folder / "mock_data").volume
    path = folder / "mock_data/rt.dcm"
    found = read_rtstruct(path, volume)
    theirs = builder.create_from(str(folder / "mock_data"), str(path))
    assert [one.label for one in found.masks] == theirs.get_roi_names()
    for one in found.masks:
        expected = theirs.get_roi_mask_by_name(one.label).transpose(1, 0, 2)
        check_within_a_pixel(one.mask, expected)


def as_rt_utils_wants(made: Dataset, number: int) -> None:
    made.StudyDate = made.SeriesDate = made.PatientBirthDate = "20240101"
    made.StudyTime = made.SeriesTime = "120000"
    made.StudyDescription = made.StudyID = made.PatientAge = made.PatientSize = made.PatientWeight = ""
    made.AccessionNumber = made.PatientSex = made.SeriesNumber = ""


def check_within_a_pixel(mask: np.ndarray, other: np.ndarray) -> None:
    """Both differ along their border alone, at most one pixel in or out; rt-utils needs square pictures and pixels."""
    cross = np.ones((3, 3, 1), dtype=bool)
    assert not (mask & ~binary_dilation(other, cross)).any()
    assert not (binary_erosion(other, cross) & ~mask).any()
    assert mask.any() == other.any()


def test_our_structure_sets_read_by_rt_utils(tmp_path: Path) -> None:
    builder = pytest.importorskip("rt_utils", reason="needs rt-utils (pip install rt-utils)").RTStructBuilder
    folder = write_slices(
        tmp_path / "series", noise(5, 48, 48), straight_positions(5), spacing=(0.7, 0.7), change=as_rt_utils_wants
    )
    volume = read_study(folder).volume
    mask = box(volume, (6, 6, 0), (40, 34, 4))
    mask[14:30, 12:26, 1:3] = False
    write_rtstruct(tmp_path / "rt.dcm", [finding("left lung", mask)], volume)
    theirs = builder.create_from(str(folder), str(tmp_path / "rt.dcm")).get_roi_mask_by_name("left lung")
    check_within_a_pixel(theirs.transpose(1, 0, 2), mask)
    dice = 2 * (theirs.transpose(1, 0, 2) & mask).sum() / (theirs.sum() + mask.sum())
    assert dice > 0.93  # it draws lines, half a pixel thick on either side


def test_rt_utils_structure_sets_of_masks_are_read_exactly(tmp_path: Path) -> None:
    builder = pytest.importorskip("rt_utils", reason="needs rt-utils (pip install rt-utils)").RTStructBuilder
    folder = write_slices(
        tmp_path / "series", noise(5, 48, 48), straight_positions(5), spacing=(0.7, 0.7), change=as_rt_utils_wants
    )
    volume = read_study(folder).volume
    mask = box(volume, (6, 6, 0), (40, 34, 4))
    structures = builder.create_new(str(folder))
    structures.add_roi(mask=mask.transpose(1, 0, 2), name="box")
    structures.save(str(tmp_path / "rt.dcm"))
    np.testing.assert_array_equal(read_rtstruct(tmp_path / "rt.dcm", volume).masks[0].mask, mask)


def test_contours_that_cannot_be_filled_are_counted(tmp_path: Path, volume: Volume) -> None:
    write_rtstruct(tmp_path / "rt.dcm", [finding("liver", box(volume, (2, 2, 0), (9, 9, 5)))], volume)
    structures = dcmread(tmp_path / "rt.dcm")
    point, upright, above, between, kept = structures.ROIContourSequence[0].ContourSequence
    point.ContourGeometricType = "POINT"
    upright.ContourData = [0.0, 0.0, -48.0, 5.0, 0.0, -48.0, 5.0, 0.0, -44.0]
    for contour, lift in ((above, 40.0), (between, 0.6)):
        values = np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3)
        values[:, 2] += lift
        contour.ContourData = [f"{value:.4f}" for value in values.ravel()]
    kept.ContourGeometricType = "CLOSEDPLANAR_XOR"
    structures.save_as(tmp_path / "rt.dcm")
    found = read_rtstruct(tmp_path / "rt.dcm", volume)
    assert {notice.code for notice in found.notices} == {
        "contours_without_area", "contours_not_in_plane", "contours_outside", "contours_between_slices",
    }  # fmt: skip
    assert found.masks[0].mask.any(axis=(0, 1)).tolist() == [False, False, False, True, True]


def test_broken_contours_are_an_error_of_ours(tmp_path: Path, volume: Volume) -> None:
    write_rtstruct(tmp_path / "rt.dcm", [finding("liver", box(volume, (2, 2, 0), (9, 9, 5)))], volume)
    structures = dcmread(tmp_path / "rt.dcm")
    structures.ROIContourSequence[0].ContourSequence[0].ContourData = [1.0, 2.0, 3.0, 4.0]
    structures.save_as(tmp_path / "rt.dcm")
    with pytest.raises(StudyFileError, match="points in threes, found 4 numbers"):
        read_rtstruct(tmp_path / "rt.dcm", volume)
