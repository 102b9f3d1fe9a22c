"""NIfTI in and masks out: which affine counts, time points, scaling; masks on the source grid as others read them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from medseg.errors import InvalidInputError, SeriesChoiceError, StudyFileError
from medseg.io.read_study import list_series, read_study
from medseg.io.write_masks import write_mask_nifti
from medseg.study.affine import LPS_TO_RAS
from medseg.study.orientation import canonicalise
from medseg.study.volume import volume_in_memory
from tests.medseg.made_grids import DEGREES, ORIENTATIONS, SPACING, affine_of, centroid, lopsided_mask


@pytest.mark.parametrize("degrees", DEGREES)
def test_masks_of_every_orientation_lie_where_they_were(tmp_path: Path, degrees: float) -> None:
    mask = lopsided_mask()
    half_a_voxel = 0.5 * min(SPACING)
    for order, signs in ORIENTATIONS:
        affine = affine_of(order, signs, degrees)
        nibabel.save(nibabel.Nifti1Image(mask.astype(np.int16) * 100, affine), tmp_path / "image.nii")
        volume = canonicalise(read_study(tmp_path / "image.nii").volume)
        write_mask_nifti(tmp_path / "mask.nii.gz", volume.voxels > 50, volume)
        expected = centroid(mask, affine)

        theirs = nibabel.Nifti1Image.from_filename(tmp_path / "mask.nii.gz")
        np.testing.assert_array_equal(np.asarray(theirs.dataobj), mask)
        assert np.linalg.norm(centroid(np.asarray(theirs.dataobj) > 0, theirs.affine) - expected) < half_a_voxel

        image = sitk.ReadImage(str(tmp_path / "mask.nii.gz"))
        indices = np.argwhere(sitk.GetArrayFromImage(image).transpose(2, 1, 0) > 0)
        places = [image.TransformIndexToPhysicalPoint([int(value) for value in index]) for index in indices]
        assert np.linalg.norm(LPS_TO_RAS[:3, :3] @ np.mean(places, axis=0) - expected) < half_a_voxel

        ours = read_study(tmp_path / "mask.nii.gz").volume
        assert np.linalg.norm(centroid(ours.voxels > 0, ours.voxel_to_ras) - expected) < half_a_voxel


def saved(path: Path, values: np.ndarray, **forms: tuple[np.ndarray, int]) -> Path:
    image = nibabel.Nifti1Image(values, None)
    for name, (affine, code) in forms.items():
        getattr(image, f"set_{name}")(affine, code)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def test_the_sform_counts_before_the_qform(tmp_path: Path) -> None:
    values = np.zeros((3, 4, 5), np.int16)
    one, other = np.diag([2.0, 2.0, 2.0, 1.0]), np.diag([3.0, 3.0, 3.0, 1.0])
    both = read_study(saved(tmp_path / "a.nii", values, sform=(one, 1), qform=(other, 1)))
    np.testing.assert_allclose(both.volume.spacing_mm, 2.0)
    assert both.noticed("affines_disagree")
    second = read_study(saved(tmp_path / "b.nii", values, sform=(one, 0), qform=(other, 1)))
    np.testing.assert_allclose(second.volume.spacing_mm, 3.0)
    assert not second.notices
    neither = read_study(saved(tmp_path / "c.nii", values, sform=(one, 0), qform=(other, 0)))
    assert neither.noticed("no_orientation")
    assert neither.volume.orientation == "LAS"


def test_time_points_are_chosen_and_never_taken_by_guess(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 3, dtype=np.int16).reshape(2, 3, 4, 3)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "film.nii.gz")
    with pytest.raises(SeriesChoiceError, match=r"found 3 series and none named(?s:.*)1\.nii\.gz\?t=2"):
        read_study(tmp_path / "film.nii.gz")
    study = read_study(tmp_path / "film.nii.gz", series="film.nii.gz?t=1")
    np.testing.assert_array_equal(study.volume.voxels, values[..., 1])
    assert study.volume.source.time_point == 1


def test_scaled_values_are_those_of_nibabel(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-500, 500, (3, 4, 5)).astype(np.int16)
    image = nibabel.Nifti1Image(values, np.eye(4))
    image.header.set_slope_inter(0.25, -7)
    nibabel.save(image, tmp_path / "scaled.nii")
    volume = read_study(tmp_path / "scaled.nii").volume
    np.testing.assert_allclose(
        volume.voxels, nibabel.Nifti1Image.from_filename(tmp_path / "scaled.nii").get_fdata(), rtol=1e-6
    )


@pytest.mark.parametrize(
    "kind", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64", ">i2", ">f4"]
)
def test_every_kind_of_number_is_read(tmp_path: Path, kind: str) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    header = nibabel.Nifti1Header(endianness=">" if kind.startswith(">") else "<")
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4), header=header, dtype=kind), tmp_path / "kind.nii")
    volume = read_study(tmp_path / "kind.nii").volume
    np.testing.assert_array_equal(volume.voxels, np.arange(24).reshape(2, 3, 4))
    assert volume.voxels.dtype.isnative


def test_metres_and_micrometres_become_millimetres(tmp_path: Path) -> None:
    for unit, scale in (("micron", 0.001), ("meter", 1000.0)):
        image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
        image.header.set_xyzt_units(unit)
        nibabel.save(image, tmp_path / "unit.nii")
        study = read_study(tmp_path / "unit.nii")
        np.testing.assert_allclose(study.volume.spacing_mm, 2.0 * scale)
        assert study.noticed("units")


def test_numbers_that_are_none_are_replaced_and_counted(tmp_path: Path) -> None:
    values = np.arange(8, dtype=np.float32).reshape(2, 2, 2) + 1
    values[0, 0, 0], values[1, 1, 1] = np.nan, np.inf
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "holes.nii")
    study = read_study(tmp_path / "holes.nii")
    assert study.volume.voxels[0, 0, 0] == study.volume.voxels[1, 1, 1] == 2.0
    assert study.noticed("not_finite")[0].text.startswith("2 voxels")
    nibabel.save(nibabel.Nifti1Image(np.full((2, 2, 2), np.nan, np.float32), np.eye(4)), tmp_path / "none.nii")
    with pytest.raises(StudyFileError, match="nothing but NaN"):
        read_study(tmp_path / "none.nii")


def test_complex_numbers_and_vectors_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    with pytest.raises(StudyFileError, match="magnitude"):
        read_study(tmp_path / "complex.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 1, 3), np.float32), np.eye(4)), tmp_path / "vector.nii")
    with pytest.raises(StudyFileError, match="one scalar volume"):
        read_study(tmp_path / "vector.nii")


def test_the_same_mask_gives_the_same_bytes(tmp_path: Path) -> None:
    volume = volume_in_memory(np.zeros((4, 5, 6), np.int16), affine_of((1, 0, 2), (1.0, -1.0, 1.0), 9.0))
    mask = np.zeros(volume.shape, dtype=bool)
    mask[1, 2, 3] = True
    for name in ("a.nii.gz", "b.nii.gz"):
        write_mask_nifti(tmp_path / name, mask, volume)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_labels_keep_their_numbers_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    volume = volume_in_memory(np.zeros((4, 5, 6), np.int16), np.eye(4))
    labels = np.zeros(volume.shape, dtype=np.int32)
    labels[0, 0, 0], labels[3, 4, 5] = 300, 2
    write_mask_nifti(tmp_path / "labels.nii", labels, volume)
    np.testing.assert_array_equal(
        np.asarray(nibabel.Nifti1Image.from_filename(tmp_path / "labels.nii").dataobj), labels
    )
    with pytest.raises(InvalidInputError, match="0-65535"):
        write_mask_nifti(tmp_path / "labels.nii", labels - 1, volume)
    with pytest.raises(InvalidInputError, match=r"\.nii or \.nii\.gz"):
        write_mask_nifti(tmp_path / "labels.png", labels, volume)


def test_metaimage_and_nrrd_lie_where_simpleitk_says(tmp_path: Path) -> None:
    affine = affine_of((1, 2, 0), (1.0, -1.0, 1.0), 27.0)
    values = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    lps = LPS_TO_RAS @ affine
    image = sitk.GetImageFromArray(values.transpose(2, 1, 0))
    image.SetSpacing(SPACING)
    image.SetDirection((lps[:3, :3] / SPACING).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    for name in ("a.nrrd", "a.mha", "a.mhd"):
        sitk.WriteImage(image, str(tmp_path / name))
        volume = read_study(tmp_path / name).volume
        np.testing.assert_array_equal(volume.voxels, values)
        np.testing.assert_allclose(volume.voxel_to_ras, affine, rtol=0, atol=1e-9)
    assert len(list_series(tmp_path / "a.nrrd")) == 1


def test_headers_that_point_elsewhere_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(tmp_path / "a.mhd"))
    header = (tmp_path / "a.mhd").read_text().replace("a.raw", "../secret.raw")
    (tmp_path / "a.mhd").write_text(header)
    with pytest.raises(StudyFileError, match="another place"):
        read_study(tmp_path / "a.mhd")
