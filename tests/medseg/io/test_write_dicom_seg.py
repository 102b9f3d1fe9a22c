"""DICOM SEG of findings: what it holds, what it leaves out, what it refuses, and that it names nobody it need not."""

from __future__ import annotations

import logging
import shutil
import subprocess
import warnings
import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from medseg.errors import InvalidInputError, StudyFileError
from medseg.io.dicom_output import DicomOptions
from medseg.io.read_dicom_seg import read_dicom_seg
from medseg.io.read_study import list_series, read_study
from medseg.io.write_dicom_seg import write_dicom_seg
from medseg.io.write_dicom_sr import write_dicom_sr
from medseg.io.write_rtstruct import write_rtstruct
from medseg.study.finding_colours import finding_colour
from medseg.study.orientation import canonicalise
from medseg.study.volume import Volume, volume_in_memory
from tests.medseg.made_findings import AT_NOON, box, finding, result_of, three_findings
from tests.medseg.made_series import PLANTED_WORDS, noise, straight_positions, write_enhanced, write_slices

WRITERS = (write_dicom_seg, write_rtstruct, write_dicom_sr)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return read_study(write_slices(tmp_path / "series", noise(), straight_positions(5))).volume


def write_picture(path: Path, sop_class: str, modality: str, change: object = None) -> Path:
    def flat(made: Dataset, number: int) -> None:
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "SliceThickness"):
            delattr(made, name)
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = sop_class
        made.Modality = modality
        if modality in ("US", "DX"):
            del made.PixelSpacing

    return write_slices(path, noise(1), [(0, 0, 0)], change=flat)


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_segments_are_what_was_found(tmp_path: Path, volume: Volume, kind: str) -> None:
    findings = three_findings(volume)
    if kind == "labelmap":
        findings[1] = replace(findings[1], mask=findings[1].mask & ~findings[0].mask)
    written = write_dicom_seg(tmp_path / "a.dcm", result_of(volume, findings), kind=kind, options=AT_NOON)  # type: ignore[arg-type]
    assert written.numbers == (1, 2, None)
    assert [notice.code for notice in written.notices] == ["not_found"]
    theirs = hd.seg.segread(tmp_path / "a.dcm")
    for number in (1, 2):
        frames = theirs.get_pixels_by_source_instance(
            [one.sop_instance_uid for one in volume.source.slices],
            segment_numbers=[number],
            ignore_spatial_locations=False,
            assert_missing_frames_are_empty=True,
        )
        np.testing.assert_array_equal(frames[..., 0].transpose(2, 1, 0) > 0, findings[number - 1].mask)
    lung, tumour = (theirs.get_segment_description(number) for number in (1, 2))
    assert (lung.segment_label, lung.segmented_property_type.meaning) == ("left lung", "Lung")
    assert lung.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert tumour.segmented_property_category.meaning == "Morphologically Abnormal Structure"
    assert tumour.anatomic_regions[0].meaning == "Liver"
    assert "uncertain" in tumour.SegmentDescription
    assert lung.algorithm_identification.name == "threshold"
    assert theirs.ContentDescription == "Research use only. Not a medical device."
    back = read_dicom_seg(tmp_path / "a.dcm", canonicalise(volume))
    assert [one.label for one in back.masks] == ["left lung", "liver tumour"]
    for number, one in enumerate(back.masks):
        assert one.colour is not None
        np.testing.assert_allclose(one.colour, finding_colour(number + 1).rgb, rtol=0, atol=1)


@pytest.mark.parametrize("write", WRITERS)
def test_the_same_result_gives_the_same_bytes(tmp_path: Path, volume: Volume, write: object) -> None:
    findings = three_findings(volume)
    first = write(tmp_path / "a.dcm", findings, volume, options=AT_NOON)  # type: ignore[operator]
    again = write(tmp_path / "b.dcm", findings, volume, options=AT_NOON)  # type: ignore[operator]
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    later = write(tmp_path / "c.dcm", findings, volume, options=DicomOptions(made_at=datetime(2025, 1, 1)))  # type: ignore[operator]
    assert first.sop_instance_uid == again.sop_instance_uid == later.sop_instance_uid
    assert (tmp_path / "a.dcm").read_bytes() != (tmp_path / "c.dcm").read_bytes()
    other = [findings[0], replace(findings[1], mask=box(volume, (6, 1, 1), (8, 6, 4))), findings[2]]
    changed = write(tmp_path / "d.dcm", other, volume, options=AT_NOON)  # type: ignore[operator]
    assert changed.sop_instance_uid != first.sop_instance_uid
    assert changed.series_instance_uid != first.series_instance_uid
    made = dcmread(tmp_path / "a.dcm")
    assert (made.InstanceCreationDate, made.InstanceCreationTime) == ("20240229", "120000")


@pytest.mark.parametrize("write", WRITERS)
def test_the_object_belongs_to_the_patients_study(tmp_path: Path, volume: Volume, write: object) -> None:
    write(tmp_path / "a.dcm", three_findings(volume), volume)  # type: ignore[operator]
    made = dcmread(tmp_path / "a.dcm")
    assert made.PatientName == "Zyxwvuts^Quorlina"
    assert made.PatientID == "QZ-778812"
    assert made.StudyInstanceUID == volume.source.study_uid
    assert made.SeriesInstanceUID != volume.source.series_uid


@pytest.mark.parametrize("write", WRITERS)
def test_a_pseudonym_replaces_the_patient(tmp_path: Path, volume: Volume, write: object) -> None:
    write(tmp_path / "a.dcm", three_findings(volume), volume, options=DicomOptions(pseudonymise="case 7"))  # type: ignore[operator]
    content = (tmp_path / "a.dcm").read_bytes()
    assert not any(word.encode() in content for word in PLANTED_WORDS)
    made = dcmread(tmp_path / "a.dcm")
    assert made.PatientName == made.PatientID == "case 7"
    assert made.PatientIdentityRemoved == "YES"
    assert made.StudyInstanceUID == volume.source.study_uid
    with pytest.raises(InvalidInputError, match="pseudonym"):
        DicomOptions(pseudonymise="a\\b")


@pytest.mark.parametrize("write", WRITERS)
def test_nothing_that_is_said_names_the_patient(
    tmp_path: Path, volume: Volume, write: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        written = write(tmp_path / "a.dcm", three_findings(volume), volume)  # type: ignore[operator]
        for source in volume.source.files:
            source.path.unlink()
        with pytest.raises(StudyFileError, match="Source file 1") as caught:
            write(tmp_path / "b.dcm", three_findings(volume), volume)  # type: ignore[operator]
    said = f"{written!r} {caplog.text} {caught.value}".replace(str(tmp_path), "").lower()
    assert not any(word.lower() in said for word in PLANTED_WORDS)
    assert not warned
    assert not (tmp_path / "b.dcm").exists()


@pytest.mark.parametrize("write", WRITERS[:2])
def test_where_nothing_was_found_no_file_is_written_and_an_old_one_stays(
    tmp_path: Path, volume: Volume, write: object
) -> None:
    absent = [three_findings(volume)[2], finding("liver", np.zeros(volume.shape, dtype=bool))]
    (tmp_path / "a.dcm").write_bytes(b"old")
    written = write(tmp_path / "a.dcm", absent, volume)  # type: ignore[operator]
    assert written.path is None
    assert [notice.code for notice in written.notices] == ["not_found", "empty_mask", "nothing_written"]
    assert (tmp_path / "a.dcm").read_bytes() == b"old"


def test_a_labelmap_of_overlapping_findings_is_refused(tmp_path: Path, volume: Volume) -> None:
    with pytest.raises(InvalidInputError, match=r"found 6 shared voxels among 'left lung', 'liver tumour'"):
        write_dicom_seg(tmp_path / "a.dcm", three_findings(volume), volume, kind="labelmap")


@pytest.mark.parametrize("write", WRITERS)
def test_volumes_of_other_files_are_refused_with_what_to_write(tmp_path: Path, write: object) -> None:
    made = volume_in_memory(np.zeros((8, 6, 5)), np.eye(4))
    with pytest.raises(InvalidInputError, match=r"format 'array'\. Write its masks as NIfTI"):
        write(tmp_path / "a.dcm", three_findings(made), made)  # type: ignore[operator]
    with pytest.raises(InvalidInputError, match="expected the volume of these findings"):
        write(tmp_path / "a.dcm", three_findings(made))  # type: ignore[operator]


def test_images_that_changed_or_lack_uids_are_refused(tmp_path: Path, volume: Volume, shared_data: Path) -> None:
    write_slices(tmp_path / "series", noise(), straight_positions(5), series="two")
    for old in (tmp_path / "series").glob("one*"):
        old.write_bytes((old.parent / old.name.replace("one", "two")).read_bytes())
    with pytest.raises(StudyFileError, match="another object there"):
        write_dicom_seg(tmp_path / "a.dcm", three_findings(volume), volume)
    several = read_study(shared_data / "dicom_seg_rtstruct/rt_utils/oriented_data").volume
    with pytest.raises(StudyFileError, match="expected images of one study, found source file 2 in another"):
        write_dicom_seg(tmp_path / "a.dcm", [finding("lung", several.voxels > 0)], several)
    blanked = read_study(shared_data / "vol_ct_totalseg/ct_dicom").volume
    with pytest.raises(StudyFileError, match=r"StudyInstanceUID.* missing or malformed"):
        write_dicom_seg(tmp_path / "a.dcm", three_findings(blanked), blanked)


def test_series_of_a_zip_archive_are_opened_there(tmp_path: Path, volume: Volume) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in sorted((tmp_path / "series").iterdir()):
            archive.write(path, f"sub/{path.name}")
    zipped = read_study(tmp_path / "export.zip").volume
    write_dicom_seg(tmp_path / "a.dcm", three_findings(volume), volume, options=AT_NOON)
    write_dicom_seg(tmp_path / "b.dcm", three_findings(zipped), zipped, options=AT_NOON)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()


def test_frames_of_one_file_are_referred_to_by_number(tmp_path: Path) -> None:
    positions = [straight_positions(4)[number] for number in (2, 0, 3, 1)]
    path = write_enhanced(tmp_path / "enhanced.dcm", noise(4), positions, slopes=[1.0] * 4)
    volume = read_study(path).volume
    mask = box(volume, (1, 1, 0), (3, 3, 2))
    write_dicom_seg(tmp_path / "seg.dcm", [finding("liver", mask)], volume)
    write_rtstruct(tmp_path / "rt.dcm", [finding("liver", mask)], volume)
    made = dcmread(tmp_path / "seg.dcm")
    named = [
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for group in made.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(named) == [2, 4]  # the lowest two slices, in highdicom's order
    contours = dcmread(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence
    assert [one.ContourImageSequence[0].ReferencedFrameNumber for one in contours] == [2, 4]
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "seg.dcm", volume).masks[0].mask, mask)


def test_one_time_of_several_in_a_file_is_referred_to(tmp_path: Path) -> None:
    places = straight_positions(3)
    path = write_enhanced(tmp_path / "enhanced.dcm", noise(6), [*places, *places], slopes=[1.0] * 6)
    both = dcmread(path)
    for number, group in enumerate(both.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        content.TemporalPositionIndex = 1 + number // 3
        group.FrameContentSequence = [content]
    both.save_as(path)
    second = list_series(path)[1]
    volume = read_study(path, series=second.key).volume
    wanted = [one.frame + 1 for one in volume.source.slices]
    write_dicom_seg(tmp_path / "seg.dcm", [finding("liver", np.ones(volume.shape, dtype=bool))], volume)
    named = [
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for group in dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence
    ]
    assert sorted(named) == sorted(wanted)
    assert sorted(wanted) in ([4, 5, 6], [1, 2, 3])


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        ("1.2.840.10008.5.1.4.1.1.1", "CR"),
        ("1.2.840.10008.5.1.4.1.1.1.1", "DX"),
        ("1.2.840.10008.5.1.4.1.1.6.1", "US"),
        ("1.2.840.10008.5.1.4.1.1.7", "OT"),
    ],
)
def test_pictures_without_a_place(tmp_path: Path, sop_class: str, modality: str) -> None:
    volume = read_study(write_picture(tmp_path / "x", sop_class, modality)).volume
    mask = box(volume, (1, 1, 0), (5, 4, 1))
    write_dicom_seg(tmp_path / "seg.dcm", [finding("left lung", mask)], volume)
    np.testing.assert_array_equal(hd.seg.segread(tmp_path / "seg.dcm").pixel_array.T > 0, mask[:, :, 0])
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "seg.dcm", volume).masks[0].mask, mask)
    with pytest.raises(InvalidInputError, match="found a picture without one"):
        write_rtstruct(tmp_path / "rt.dcm", [finding("left lung", mask)], volume)


def test_pictures_of_a_kind_that_needs_a_place_are_refused(tmp_path: Path) -> None:
    volume = read_study(write_picture(tmp_path / "x", "1.2.840.10008.5.1.4.1.1.2", "CT")).volume
    with pytest.raises(InvalidInputError, match="Write NIfTI instead"):
        write_dicom_seg(tmp_path / "seg.dcm", [finding("lung", np.ones(volume.shape, dtype=bool))], volume)
    assert not (tmp_path / "seg.dcm").exists()


def test_a_missing_frame_of_reference_is_made_once_and_said(tmp_path: Path) -> None:
    def forget(made: Dataset, number: int) -> None:
        del made.FrameOfReferenceUID

    volume = read_study(write_slices(tmp_path / "x", noise(), straight_positions(5), change=forget)).volume
    seg = write_dicom_seg(tmp_path / "seg.dcm", three_findings(volume), volume)
    rt = write_rtstruct(tmp_path / "rt.dcm", three_findings(volume), volume)
    assert [one.notices[0].code for one in (seg, rt)] == ["frame_of_reference_made"] * 2
    made = {dcmread(tmp_path / name).FrameOfReferenceUID for name in ("seg.dcm", "rt.dcm")}
    assert len(made) == 1


def test_a_missing_thickness_is_the_distance_of_slices(tmp_path: Path) -> None:
    def forget(made: Dataset, number: int) -> None:
        del made.SliceThickness

    volume = read_study(write_slices(tmp_path / "x", noise(), straight_positions(5), change=forget)).volume
    write_dicom_seg(tmp_path / "seg.dcm", three_findings(volume), volume)
    shared = hd.seg.segread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].SliceThickness == 2.0


def test_slides_are_tiled_as_their_images(tmp_path: Path, shared_data: Path) -> None:
    volume = read_study(shared_data / "dicom_seg_rtstruct/highdicom/sm_image_control.dcm").volume
    mask = box(volume, (4, 7, 0), (33, 21, 1))
    write_dicom_seg(tmp_path / "seg.dcm", [finding("cell", mask)], volume)
    theirs = hd.seg.segread(tmp_path / "seg.dcm").get_total_pixel_matrix(segment_numbers=[1])
    np.testing.assert_array_equal(theirs[..., 0].T > 0, mask[..., 0])
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "seg.dcm", volume).masks[0].mask, mask)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian package dicom3tools)")
@pytest.mark.parametrize("write", WRITERS)
def test_dciodvfy_finds_no_error(tmp_path: Path, volume: Volume, write: object) -> None:
    write(tmp_path / "a.dcm", result_of(volume, three_findings(volume)))  # type: ignore[operator]
    said = subprocess.run(["dciodvfy", tmp_path / "a.dcm"], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
