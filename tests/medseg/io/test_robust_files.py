"""The odd and broken files of the shared data: read as their list says, or refused in words of ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medseg.errors import MedSegError, SeriesChoiceError, StudyFileError
from medseg.io.read_study import list_series, read_study
from medseg.study.volume import Volume

READ = {
    "dicom/CT_small.dcm": (128, 128, 1),
    "dicom/MR_small_bigendian.dcm": (64, 64, 1),
    "dicom/MR_small_RLE.dcm": (64, 64, 1),
    "dicom/MR_small_expb.dcm": (64, 64, 1),
    "dicom/MR_small_jpeg_ls_lossless.dcm": (64, 64, 1),
    "dicom/badVR.dcm": (10, 10, 1),
    "dicom/rtdose_1frame.dcm": (10, 10, 1),
    "dicom/JPEG2000.dcm": (256, 1024, 1),
    "dicom/JPGExtended.dcm": (256, 1024, 1),
    "dicom/J2K_pixelrep_mismatch.dcm": (512, 512, 1),
    "dicom/SC_rgb_small_odd_big_endian.dcm": (3, 3, 1),
    "dicom/SC_rgb_rle_16bit_2frame.dcm": (100, 100, 2),
    "dicom/SC_rgb_jpeg.dcm": (256, 256, 1),
    "dicom/examples_overlay.dcm": (484, 300, 1),
    "dicom/examples_ybr_color.dcm": (320, 240, 30),
    "dicom/liver_1frame.dcm": (512, 512, 1),
    "dicom/charset_chrX1.dcm": (32, 32, 1),
    "dicom/charset_chrFrenMulti.dcm": (32, 32, 1),
    "nifti/reoriented_anat_moved.nii": (21, 26, 22),
    "nifti/anatomical_label.nii.gz": (33, 41, 25),
    "nifti/derived_one_slice.nii": (35, 51, 1),
    "nifti/derived_rgb.nii": (8, 8, 4),
    "nifti/derived_zero_affine.nii": (35, 51, 35),
    "image/derived_16bit.png": (35, 51, 1),
    "image/derived_rgba.png": (200, 160, 1),
    "image/derived_1bit.png": (200, 160, 1),
    "image/derived_cmyk.jpg": (200, 160, 1),
    "image/derived_1x1.png": (1, 1, 1),
    "image/derived_anim.gif": (200, 160, 1),
    "image/derived_float32.tif": (35, 51, 1),
}
"""File -> voxels along columns, rows and slices."""
CHOICES = {"nifti/functional.nii": 20, "nifti/example_nifti2.nii.gz": 2, "nifti/test.mgz": 2}
"""File -> volumes in time, of which one must be named."""
REFUSED = {
    "dicom/meta_missing_tsyntax.dcm": "an object without one",
    "dicom/ExplVR_BigEndNoMeta.dcm": "RTPLAN",
    "dicom/empty_charset_LEI.dcm": "an object without one",
    "dicom/nested_priv_SQ.dcm": "an object without one",
    "dicom/rtstruct.dcm": "RTSTRUCT",
    "dicom/waveform_ecg.dcm": "ECG",
    "dicom/dicomdirtests_DICOMDIR": "an object without one",
    "dicom/dicomdirtests_DICOMDIR-empty.dcm": "an object without one",
    "dicom/derived_truncated_header.dcm": "an object without one",
    "dicom/derived_empty.dcm": "an empty one",
    "nifti/nifti2.hdr": "an .img file beside it",
    "nifti/tiny.mnc": "another kind",
    "nifti/row_major.dconn.nii": "Cifti2Image",
    "nifti/derived_truncated.nii.gz": "cannot be read",
    "nifti/derived_bad_magic.nii": "cannot be read",
    "nifti/derived_empty.nii.gz": "an empty one",
    "nifti/derived_huge_dims.nii": "at most 8589934592 bytes",
    "image/derived_truncated.jpg": "cannot be read",
    "image/derived_empty.png": "an empty one",
}
"""File -> words of the message."""


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "robust_files"


def read(path: Path) -> Volume:
    return read_study(path).volume


@pytest.mark.parametrize("name", READ)
def test_odd_files_are_read(folder: Path, name: str) -> None:
    volume = read(folder / name)
    assert volume.shape == READ[name]
    assert np.isfinite(volume.voxels).all()


@pytest.mark.parametrize("name", CHOICES)
def test_files_of_several_volumes_ask(folder: Path, name: str) -> None:
    with pytest.raises(SeriesChoiceError, match=f"found {CHOICES[name]} series"):
        read_study(folder / name)
    last = list_series(folder / name)[-1]
    assert read_study(folder / name, series=last.key).volume.shape == last.shape


@pytest.mark.parametrize("name", REFUSED)
def test_broken_files_are_refused_in_clear_words(folder: Path, name: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        read_study(folder / name)
    message = str(caught.value)
    assert REFUSED[name] in message
    assert message.startswith("The file")
    assert Path(name).name not in message  # files are named after people
    assert "expected" in message
    assert "found" in message


def test_every_listed_file_is_one_of_these(folder: Path) -> None:
    listed = {row["file"]: row["expect"] for row in json.loads((folder / "manifest.json").read_text())["files"]}
    studies = {name for name in listed if not name.startswith("scene/")}
    assert studies == {*READ, *CHOICES, *REFUSED}
    # What the list wants read is read, what it calls an error is one; the rest leaves the choice.
    assert not {name for name in studies if listed[name].startswith("ok:")} - {*READ, *CHOICES}
    wanted = {name for name in studies if "clear error" in listed[name] and "ok" not in listed[name]}
    assert wanted - {"image/derived_truncated.jpg"} <= set(REFUSED)


def test_the_same_picture_in_other_encodings_has_the_same_values(folder: Path) -> None:
    plain = read(folder / "dicom/MR_small_bigendian.dcm").voxels
    for name in ("MR_small_RLE.dcm", "MR_small_expb.dcm", "MR_small_jpeg_ls_lossless.dcm"):
        np.testing.assert_array_equal(read(folder / "dicom" / name).voxels, plain)


def test_corrections_are_said(folder: Path) -> None:
    codes = {
        "nifti/derived_zero_affine.nii": "singular_affine",
        "image/derived_anim.gif": "first_frame",
        "image/derived_cmyk.jpg": "colours",
        "dicom/liver_1frame.dcm": "frame_count",
        "dicom/examples_ybr_color.dcm": "no_position",
    }
    for name, code in codes.items():
        assert read_study(folder / name).noticed(code), name


def test_a_folder_of_them_all_lists_what_can_be_read(folder: Path) -> None:
    facts = list_series(folder)
    assert len(facts) >= len(READ)
    with pytest.raises(MedSegError):
        read_study(folder)
