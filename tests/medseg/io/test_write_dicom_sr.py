"""Structured reports hold what was measured, what was not found, and what they may be used for; read by highdicom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom.sr.codedict import codes

from medseg.errors import InvalidInputError
from medseg.io.read_study import read_study
from medseg.io.write_dicom_seg import write_dicom_seg
from medseg.io.write_dicom_sr import write_dicom_sr
from medseg.study.volume import Volume
from tests.medseg.made_findings import MEASURED, finding, result_of, three_findings
from tests.medseg.made_series import noise, straight_positions, write_slices


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return read_study(write_slices(tmp_path / "series", noise(), straight_positions(5))).volume


def numbers_of(group: object) -> dict[str, tuple[float, str]]:
    return {one.name.meaning: (one.value, one.unit.value) for one in group.get_measurements()}  # type: ignore[attr-defined]


def presence_of(group: object) -> str:
    found = {one.name.meaning: one.value.meaning for one in group.get_qualitative_evaluations()}  # type: ignore[attr-defined]
    return found["Presence of property"]


def test_groups_hold_numbers_codes_and_segments(tmp_path: Path, volume: Volume) -> None:
    result = result_of(volume, three_findings(volume), warnings=("Touches the border.",))
    segmentation = write_dicom_seg(tmp_path / "seg.dcm", result)
    written = write_dicom_sr(tmp_path / "sr.dcm", result, segmentation=segmentation)
    report = hd.sr.srread(tmp_path / "sr.dcm")
    assert [notice.code for notice in written.notices] == ["not_measured"]
    lung, tumour = report.content.get_volumetric_roi_measurement_groups()
    assert numbers_of(lung) == {
        "Probability": (0.75, "1"),
        "Volume": (0.25, "ml"),
        "Area": (56.5, "mm2"),
        "Long axis": (12.5, "mm"),
        "Short axis": (7.25, "mm"),
        "Attenuation Coefficient": (-33.25, "[hnsf'U]"),
    }
    assert numbers_of(tumour) == {"Probability": (0.75, "1")}
    assert lung.finding_type == codes.SCT.Lung
    assert lung.finding_sites[0].laterality == codes.SCT.Left
    assert tumour.finding_sites[0].value == codes.SCT.Liver
    (segment,) = (item for item in lung[0].ContentSequence if item.name.meaning == "Referenced Segment")
    assert segment.referenced_sop_instance_uid == segmentation.sop_instance_uid
    assert segment.referenced_segment_numbers == [1]
    assert presence_of(lung) == "Present"
    assert presence_of(tumour) == "Presence Undetermined"
    evidence = {uids[2] for uids in report.get_evidence()}
    assert segmentation.sop_instance_uid in evidence
    assert {one.sop_instance_uid for one in volume.source.slices} <= evidence


def test_what_was_not_found_is_reported_absent(tmp_path: Path, volume: Volume) -> None:
    write_dicom_sr(tmp_path / "sr.dcm", result_of(volume, three_findings(volume), warnings=("Cut at the border.",)))
    report = hd.sr.srread(tmp_path / "sr.dcm")
    groups = report.content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["left lung", "liver tumour", "spleen"]
    assert presence_of(groups[2]) == "Absent"
    said = [item.value for item in report.content[0].ContentSequence if item.name == codes.DCM.Comment]
    assert said == ["Research use only. Not a medical device.", "spleen: not found", "Cut at the border."]
    assert report.VerificationFlag == "UNVERIFIED"


def test_a_report_of_nothing_found_is_a_report(tmp_path: Path, volume: Volume) -> None:
    absent = [finding("spleen", np.zeros(volume.shape, dtype=bool), "not_found")]
    segmentation = write_dicom_seg(tmp_path / "seg.dcm", absent, volume)
    written = write_dicom_sr(tmp_path / "sr.dcm", absent, volume, segmentation=segmentation)
    assert written.path == tmp_path / "sr.dcm"
    (group,) = hd.sr.srread(tmp_path / "sr.dcm").content.get_image_measurement_groups()
    assert presence_of(group) == "Absent"


def test_unknown_spacing_and_units_are_not_made_up(tmp_path: Path, volume: Volume) -> None:
    flat = replace(MEASURED, volume_ml=None, area_mm2=None, long_axis_mm=None, short_axis_mm=None, unit="unknown")
    findings = [replace(three_findings(volume)[0], quantities=flat)]
    write_dicom_sr(tmp_path / "sr.dcm", findings, volume)
    (group,) = hd.sr.srread(tmp_path / "sr.dcm").content.get_image_measurement_groups()
    assert numbers_of(group) == {
        "Probability": (0.75, "1"), "Area": (9.0, "{pixels}"), "Mean stored intensity": (-33.25, "1"),
    }  # fmt: skip


def test_a_segmentation_of_others_and_no_findings_are_refused(tmp_path: Path, volume: Volume) -> None:
    findings = three_findings(volume)
    segmentation = write_dicom_seg(tmp_path / "seg.dcm", findings[:1], volume)
    with pytest.raises(InvalidInputError, match="expected the segmentation of these 3 findings, found one of 1"):
        write_dicom_sr(tmp_path / "sr.dcm", findings, volume, segmentation=segmentation)
    with pytest.raises(InvalidInputError, match="at least one finding"):
        write_dicom_sr(tmp_path / "sr.dcm", [], volume)
