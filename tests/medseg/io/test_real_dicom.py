"""Every valid DICOM image of the shared data lies where highdicom, SimpleITK or its label map says."""

from __future__ import annotations

from pathlib import Path

import highdicom as hd
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset

from medseg.errors import GeometryError, StudyFileError
from medseg.io.read_study import ReadOptions, list_series, read_study
from medseg.study.affine import LPS_TO_RAS
from medseg.study.orientation import canonicalise, move_between
from medseg.study.volume import Volume

SERIES = (
    "dicom_seg_rtstruct/dcmqi/ct-3slice",
    "dicom_seg_rtstruct/dcmqi_tiny/23x38x3/image",
    "dicom_seg_rtstruct/dcmqi_tiny/24x38x3/image",
    "dicom_seg_rtstruct/rt_utils/mock_data",
    "dicom_seg_rtstruct/rt_utils/oriented_data",
    "vol_ct_totalseg/ct_dicom",
)
MULTIFRAME = (
    "dicom_seg_rtstruct/dcmqi_tiny/23x38x3/multiframe/mf.dcm",
    "dicom_seg_rtstruct/dcmqi_tiny/24x38x3/multiframe/mf.dcm",
)
SEGMENTATIONS = (
    ("dcmqi/liver.dcm", "dcmqi/liver_seg.nrrd"),
    ("dcmqi_tiny/23x38x3/seg/label.seg", "dcmqi_tiny/23x38x3/nrrd/label.nrrd"),
    ("dcmqi_tiny/24x38x3/seg/label.seg", "dcmqi_tiny/24x38x3/nrrd/label.nrrd"),
)
SLIDES = ("sm_image.dcm", "sm_image_control.dcm", "sm_image_dots.dcm", "sm_image_numbers.dcm", "sm_image_jpegls.dcm",
          "sm_image_jpegls_nobot.dcm", "sm_image_grayscale.dcm")  # fmt: skip


def images(folder: Path) -> list[Dataset]:
    found = [dcmread(path) for path in sorted(folder.iterdir()) if path.suffix == ".dcm"]
    return [header for header in found if header.Modality == "CT"]


def assert_same_voxels(volume: Volume, values: np.ndarray, affine: np.ndarray, tolerance: float = 1e-4) -> None:
    """The same voxels in the same places, whatever the order of axes."""
    move = move_between(affine, values.shape, volume.voxel_to_ras, volume.shape)
    assert move is not None, f"{affine} is not {volume.voxel_to_ras}"
    np.testing.assert_allclose(move.affine(affine, values.shape), volume.voxel_to_ras, rtol=0, atol=tolerance)
    np.testing.assert_allclose(move.apply(values), volume.voxels, rtol=1e-6, atol=1e-6)


def affine_of(image: sitk.Image) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ affine


@pytest.mark.parametrize("name", SERIES)
def test_series_are_those_of_highdicom(shared_data: Path, name: str) -> None:
    headers = images(shared_data / name)
    for header in headers:  # highdicom asks for what some of these series lack
        header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        header.SeriesInstanceUID = header.FrameOfReferenceUID = "1.2.3"
    padding = [header.pop("PixelPaddingValue", None) for header in headers]
    volume = read_study(shared_data / name).volume
    theirs = hd.get_volume_from_series(headers)
    values = np.asarray(theirs.array, dtype=np.float64)
    if any(padding):  # padding holds the smallest measured value here, its own elsewhere
        values = np.maximum(values, volume.voxels.min())
    assert_same_voxels(volume, values, theirs.get_affine("RAS"))


@pytest.mark.parametrize("name", [name for name in SERIES if "ct_dicom" not in name])
def test_series_are_those_of_simpleitk(shared_data: Path, name: str) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(shared_data / name)))
    theirs = reader.Execute()
    volume = read_study(shared_data / name).volume
    values = sitk.GetArrayFromImage(theirs).transpose(2, 1, 0).astype(np.float64)
    assert_same_voxels(volume, np.maximum(values, volume.voxels.min()), affine_of(theirs))


@pytest.mark.parametrize("name", MULTIFRAME)
def test_frames_of_one_file_are_the_slices_they_were_made_from(shared_data: Path, name: str) -> None:
    path = shared_data / name
    one, many = read_study(path).volume, read_study(path.parents[1] / "image").volume
    np.testing.assert_array_equal(one.voxels, many.voxels)
    np.testing.assert_allclose(one.voxel_to_ras, many.voxel_to_ras, rtol=0, atol=1e-9)
    theirs = hd.imread(path).get_volume()
    assert_same_voxels(one, np.asarray(theirs.array), theirs.get_affine("RAS"))


@pytest.mark.parametrize(("name", "reference"), SEGMENTATIONS)
def test_segments_lie_on_their_reference_maps(shared_data: Path, name: str, reference: str) -> None:
    folder = shared_data / "dicom_seg_rtstruct"
    volume, theirs = read_study(folder / name).volume, sitk.ReadImage(str(folder / reference))
    values = sitk.GetArrayFromImage(theirs).transpose(2, 1, 0)
    assert_same_voxels(volume, (values > 0).astype(np.uint8), affine_of(theirs), tolerance=1e-3)


def test_each_overlapping_segment_is_a_series(shared_data: Path) -> None:
    path = shared_data / "dicom_seg_rtstruct/highdicom/seg_image_ct_binary_overlap.dcm"
    theirs = hd.seg.segread(path)
    facts = list_series(path)
    assert [one.split_by for one in facts] == ["segment 1", "segment 2"]
    for number, one in enumerate(facts, 1):
        volume = read_study(path, series=one.key).volume
        frames = theirs.get_volume(segment_numbers=[number], allow_missing_positions=True)
        values = np.asarray(frames.array)[..., 0]
        assert_same_voxels(volume, values, frames.get_affine("RAS"))


def test_empty_slices_that_a_segmentation_left_out_are_there(shared_data: Path) -> None:
    folder = shared_data / "dicom_seg_rtstruct/dcmqi_tiny"
    volume = read_study(folder / "sparse-labelmap-noppv.dcm").volume
    theirs = sitk.ReadImage(str(folder / "sparse_labelmap_noppv_seg.nrrd"))
    values = sitk.GetArrayFromImage(theirs).transpose(2, 1, 0).astype(np.uint8)
    assert_same_voxels(volume, values, affine_of(theirs), tolerance=1e-3)
    assert [one.file for one in volume.source.slices] == [0, -1, 0]


@pytest.mark.parametrize("name", SLIDES)
def test_slides_are_put_together_from_their_tiles(shared_data: Path, name: str) -> None:
    path = shared_data / "dicom_seg_rtstruct/highdicom" / name
    volume = read_study(path).volume
    theirs = hd.imread(path).get_total_pixel_matrix(apply_icc_profile=False)
    np.testing.assert_array_equal(volume.voxels[:, :, 0].swapaxes(0, 1), theirs)
    assert volume.space == "picture"


def test_an_inverted_film_is_turned_over_as_highdicom_does(shared_data: Path) -> None:
    path = shared_data / "dicom_seg_rtstruct/highdicom/dx_image.dcm"
    volume = read_study(path).volume
    theirs = hd.imread(path).get_frames(apply_presentation_lut=True)
    np.testing.assert_array_equal(volume.voxels[:, :, 0].T, theirs[0])


def test_a_real_gap_is_refused_and_the_even_run_is_read(shared_data: Path) -> None:
    folder = shared_data / "dicom_seg_rtstruct/highdicom/source_ct_77654033_CT2"
    with pytest.raises(GeometryError, match=r"202\.500 mm after slice 1 of 4"):
        read_study(folder)
    volume = read_study(folder, options=ReadOptions(gaps="longest")).volume
    theirs = hd.get_volume_from_series([dcmread(folder / name) for name in ("17136", "17166", "17196")])
    np.testing.assert_allclose(volume.spacing_mm[2], 1.25, rtol=0, atol=1e-6)
    assert move_between(theirs.get_affine("RAS"), theirs.spatial_shape, volume.voxel_to_ras, volume.shape) is not None


def test_every_image_of_the_set_can_be_read_alone(shared_data: Path) -> None:
    without_image = []
    for path in sorted((shared_data / "dicom_seg_rtstruct").rglob("*")):
        if not path.is_file() or (path.suffix not in (".dcm", ".seg", "") or path.name.startswith("LICENSE")):
            continue
        modality = dcmread(path, force=True, specific_tags=["Modality"]).Modality
        if modality in ("RTSTRUCT", "SR", "ANN"):
            with pytest.raises(StudyFileError, match="an object without one"):
                list_series(path)
            without_image.append(modality)
            continue
        for one in list_series(path)[:1]:
            volume = read_study(path, series=one.key).volume
            assert volume.shape[:2] == one.shape[:2]
    assert set(without_image) == {"RTSTRUCT", "SR", "ANN"}


def test_organs_of_a_label_map_lie_in_tissue_of_the_series(shared_data: Path) -> None:
    volume = canonicalise(read_study(shared_data / "vol_ct_totalseg/ct_dicom").volume)
    labels = nibabel.as_closest_canonical(nibabel.load(shared_data / "vol_ct_totalseg/ct_dicom_seg.nii.gz"))
    move = move_between(labels.affine, labels.shape, volume.voxel_to_ras, volume.shape)
    assert move is not None
    found = move.apply(np.asarray(labels.dataobj))
    liver = volume.voxels[found == 5]
    # Liver is 40-160 HU, contrast or not; lung, fat and bone are far away.
    assert liver.size > 10_000
    assert 40 < np.median(liver) < 160
