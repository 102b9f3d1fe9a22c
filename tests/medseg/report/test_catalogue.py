"""Every output by its name: whole, with names that follow from the result, and nothing left out in silence."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from medseg.errors import InvalidInputError
from medseg.io.read_study import list_series, read_study
from medseg.report.catalogue import OUTPUT_FORMATS, check_formats, write_outputs
from medseg.report.overlay import OverlayOptions
from medseg.study.result import SegmentationResult
from tests.medseg.made_series import PLANTED_WORDS, write_slices
from tests.medseg.report.made_results import box, ct, finding, picture, result, two_found_one_not

PLAIN = ("nifti", "overlay", "json", "csv", "report")


def test_each_format_writes_its_files(tmp_path: Path) -> None:
    asked = two_found_one_not()
    written = write_outputs(asked, tmp_path / "new" / "folder", PLAIN)
    names = [path.name for path in written.files]
    assert names == [
        "01_left_kidney.nii.gz", "02_cyst.nii.gz", "overlay.png", "result.json", "findings.csv", "report.html"
    ]  # fmt: skip
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == sorted(names), "no half-written file is left"
    mask = nibabel.load(written.files[0])
    np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, asked.findings[0].mask)
    np.testing.assert_allclose(mask.affine, asked.volume.voxel_to_ras)


def test_what_is_not_there_has_no_file_of_zeros_and_is_said(tmp_path: Path) -> None:
    written = write_outputs(two_found_one_not(), tmp_path, ["nifti"])
    assert [(one.code, one.text) for one in written.notices] == [
        ("no_mask", "Finding 3 (not found) has no mask: there is no .nii.gz file of it.")
    ]
    for path in written.files:
        assert np.asarray(nibabel.load(path).dataobj).any()


def test_pictures_get_png_masks_and_volumes_a_notice(tmp_path: Path) -> None:
    volume = picture()
    spot = box(volume, (5, 15), (10, 20), (0, 1))
    written = write_outputs(result(volume, [finding(volume, "Spot, left", spot)]), tmp_path, ["png"])
    assert [path.name for path in written.files] == ["01_spot_left.png"]
    with Image.open(written.files[0]) as image:
        np.testing.assert_array_equal(np.asarray(image) > 0, spot[:, :, 0].T)
    left_out = write_outputs(two_found_one_not(), tmp_path / "ct", ["png", "json"])
    assert [path.name for path in left_out.files] == ["result.json"]
    assert left_out.notices[0].code == "format_left_out"
    assert "volume of 8 slices" in left_out.notices[0].text
    with pytest.raises(InvalidInputError, match="found none \\(png: a PNG holds one picture"):
        write_outputs(two_found_one_not(), tmp_path / "none", ["png"])
    assert not (tmp_path / "none").exists()


def test_equal_results_give_equal_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_outputs(two_found_one_not(), tmp_path / name, PLAIN)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name


def test_masks_of_an_older_result_are_pointed_out(tmp_path: Path) -> None:
    asked = two_found_one_not()
    write_outputs(asked, tmp_path, ["nifti"])
    fewer = replace(asked, findings=asked.findings[:1])
    notices = write_outputs(fewer, tmp_path, ["nifti"]).notices
    assert [one.code for one in notices] == ["older_files"]
    assert (tmp_path / "02_cyst.nii.gz").exists(), "nothing of a user's is removed"


@pytest.mark.parametrize("label", ["../../etc/passwd", "a/b\\c", "CON", "肝臓", "", "." * 300, "ä" * 300, "a\x00b"])
def test_phrases_never_leave_the_folder(tmp_path: Path, label: str) -> None:
    volume = ct((4, 4, 4))
    asked = result(volume, [finding(volume, label, box(volume, (1, 2), (1, 2), (1, 2)))])
    (path,) = write_outputs(asked, tmp_path / "out", ["nifti"]).files
    assert path.parent == tmp_path / "out"
    assert os.listdir(tmp_path) == ["out"]
    assert len(path.name) < 60


def test_equal_phrases_have_files_of_their_own(tmp_path: Path) -> None:
    volume = ct((4, 4, 4))
    found = [finding(volume, "node", box(volume, (k, k + 1), (1, 2), (1, 2))) for k in range(2)]
    names = [path.name for path in write_outputs(result(volume, found), tmp_path, ["nifti"]).files]
    assert names == ["01_node.nii.gz", "02_node.nii.gz"]


def test_unknown_names_are_answered(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="Did you mean 'nifti'"):
        write_outputs(two_found_one_not(), tmp_path / "out", ["nifty", "json"])
    with pytest.raises(InvalidInputError, match="expected a list"):
        check_formats("json")
    with pytest.raises(InvalidInputError, match="expected a list"):
        check_formats([])
    assert not (tmp_path / "out").exists()
    others = {"png", "dicom-seg", "dicom-labelmap", "rtstruct", "sr"}
    assert set(OUTPUT_FORMATS) == {*PLAIN, *others}
    assert all(one.summary for one in OUTPUT_FORMATS.values())


@pytest.fixture
def dicom_result(tmp_path: Path) -> SegmentationResult:
    """A real read of a DICOM series, with two masks that overlap and one thing that is not there."""
    pixels = np.full((5, 16, 18), 1024, dtype=np.int16)
    places = [(0.0, 0.0, 3.0 * k) for k in range(5)]
    volume = read_study(write_slices(tmp_path / "series", pixels, places)).volume
    first = box(volume, (2, 9), (3, 10), (1, 4))
    second = box(volume, (8, 14), (3, 10), (1, 4))
    found = [finding(volume, "liver", first), finding(volume, "spleen", second, status="uncertain")]
    return result(volume, [*found, finding(volume, "stone")])


def test_dicom_outputs_refer_to_each_other_and_hold_the_masks(tmp_path: Path, dicom_result: SegmentationResult) -> None:
    written = write_outputs(dicom_result, tmp_path / "out", ["sr", "rtstruct", "dicom-seg", "dicom-labelmap"])
    assert [path.name for path in written.files] == ["segmentation.dcm", "rtstruct.dcm", "sr.dcm"]
    left_out = [one.text for one in written.notices if one.code == "format_left_out"]
    assert left_out == ["dicom-labelmap was not written: masks overlap: take dicom-seg."]
    assert any("stone" in one.text for one in written.notices)
    segments, report = dcmread(written.files[0]), dcmread(written.files[2])
    assert [one.SegmentLabel for one in segments.SegmentSequence] == ["liver", "spleen"]
    assert str(segments.SOPInstanceUID) in str(report), "the report names the segmentation it measures"
    for number, label in enumerate(("liver", "spleen")):
        facts = list_series(written.files[0])[number]
        volume = read_study(written.files[0], series=facts.key).volume
        assert np.count_nonzero(volume.voxels) == dicom_result.findings[number].mask.sum(), label


def test_a_label_map_is_written_where_nothing_overlaps(tmp_path: Path, dicom_result: SegmentationResult) -> None:
    apart = replace(dicom_result, findings=dicom_result.findings[::2])
    assert [path.name for path in write_outputs(apart, tmp_path / "out", ["dicom-labelmap"]).files] == ["labelmap.dcm"]


def test_no_dicom_file_where_nothing_was_found(tmp_path: Path, dicom_result: SegmentationResult) -> None:
    write_outputs(dicom_result, tmp_path / "out", ["dicom-seg"])
    nothing = replace(dicom_result, findings=dicom_result.findings[2:])
    written = write_outputs(nothing, tmp_path / "out", ["dicom-seg", "json"])
    assert [path.name for path in written.files] == ["result.json"]
    assert {"nothing_written", "older_files"} <= {one.code for one in written.notices}


def test_dicom_needs_dicom(tmp_path: Path) -> None:
    asked = two_found_one_not()
    written = write_outputs(asked, tmp_path, ["json", "dicom-seg", "rtstruct", "sr"])
    assert [one.code for one in written.notices] == ["format_left_out"] * 3
    assert "came as array" in written.notices[0].text


def test_planted_names_are_in_no_plain_output(tmp_path: Path, dicom_result: SegmentationResult) -> None:
    written = write_outputs(dicom_result, tmp_path / "out", PLAIN)
    for path in written.files:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert not any(word.encode() in content for word in (*PLANTED_WORDS, str(tmp_path))), path.name


def test_pictures_are_shown_in_the_window_that_is_asked_for(tmp_path: Path) -> None:
    (page,) = write_outputs(two_found_one_not(), tmp_path, ["report"], view=OverlayOptions(window="bone")).files
    assert "bone window, -500 to 1300 HU, chosen by caller" in page.read_text(encoding="utf-8")
