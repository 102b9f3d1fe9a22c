"""Names planted in every text of a series, and in the names of its files and folders, are said nowhere."""

from __future__ import annotations

import logging
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, UltrasoundImageStorage

from medseg.errors import MedSegError
from medseg.io.dicom_headers import _TAGS
from medseg.io.dicom_privacy import NAME_TAGS
from medseg.io.read_study import list_series, read_study
from tests.medseg.io.test_privacy import assert_no_name, everything_said
from tests.medseg.made_series import PLANTED, header, noise, straight_positions, write_slices

TEXTS = ("AE", "AS", "CS", "DA", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
READ_TAGS = sorted({tag for tag in _TAGS if dictionary_VR(tag) in TEXTS})
TELLING = ("Modality", "SeriesInstanceUID", "ImageType", "RescaleSlope", "ImagePositionPatient", "PatientName")
"""Tags that put one file apart from the others."""
DESCRIPTIVE = (
    *NAME_TAGS, "StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined", "PatientComments",
    "ImageComments", "AdditionalPatientHistory", "StationName", "Manufacturer", "DeviceSerialNumber",
    "RequestedProcedureDescription", "PerformedProcedureStepDescription", "ContrastBolusAgent", "PatientSex",
    "AdmittingDiagnosesDescription", "Occupation", "PatientAge", "EthnicGroup", "SoftwareVersions", "SequenceName",
    "ScanOptions", "KVP",
)  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:(The value length|Invalid value for VR)")  # of what is planted


def plant(made: Dataset, keyword: str) -> None:
    """Put the name where the tag is, whatever kind of value belongs there."""
    made.add_new(
        keyword,
        "LO" if dictionary_VR(keyword) not in ("PN", "SH", "ST", "LT", "UT", "CS") else dictionary_VR(keyword),
        PLANTED,
    )


def named_series(folder: Path, change: Callable[[Dataset, int], None] | None = None) -> Path:
    """A series in a folder, and in files, that are called like the patient."""
    inside = folder / "Zyxwvuts Quorlina 1965"
    write_slices(inside, noise(3), straight_positions(3), change=change)
    for number, path in enumerate(sorted(inside.iterdir())):
        path.rename(inside / f"Quorlina_QZ-778812_{number}.dcm")
    return inside


def said_of(path: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> str:
    """Everything a reader says of an input: results, or error with traceback, logs and warnings."""
    caplog.clear()
    parts = ["said:"]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            facts = list_series(path)
            parts += [line for one in facts for line in (one.line(), repr(one), one.description)]
            for one in facts:
                study = read_study(path, series=one.key)
                parts.append(everything_said(study))
        except MedSegError as error:
            logging.getLogger("test").error("failed", exc_info=error)
            parts += traceback.format_exception(error)
    parts += [str(one.message) for one in warned]
    return "\n".join([*parts, caplog.text]).replace(str(tmp_path), "")


def test_every_descriptive_text_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def change(made: Dataset, number: int) -> None:
        for keyword in DESCRIPTIVE:
            plant(made, keyword)
        made.private_block(0x0011, "Quorlina", create=True).add_new(1, "LO", PLANTED)
        item = Dataset()
        item.PatientName = PLANTED
        made.RequestAttributesSequence = [item]

    folder = named_series(tmp_path, change)
    assert read_study(folder).volume.shape == (8, 6, 3)
    assert_no_name(said_of(folder, caplog, tmp_path))


@pytest.mark.parametrize("keyword", READ_TAGS)
def test_each_text_that_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture, keyword: str) -> None:
    """Read or refused: the reader looks at these tags, so this is where a name could slip out."""
    caplog.set_level(logging.DEBUG)
    ways = {"all": range(3)} | ({"one": range(1, 2)} if keyword in TELLING else {})
    for place, planted in ways.items():
        folder = named_series(
            tmp_path / place,
            lambda made, number, planted=planted: plant(made, keyword) if number in planted else None,
        )
        assert_no_name(said_of(folder, caplog, tmp_path))


def test_texts_that_tell_slices_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "two"
    for name in ("StackID", "ImageType"):
        for number, text in enumerate(("Quorlina", "Zyxwvuts")):
            write_slices(
                folder / name / str(number), noise(seed=number), straight_positions(5),
                change=lambda made, _, name=name, text=text, number=number: (
                    made.add_new(name, "LO", text),
                    setattr(made, "SOPInstanceUID", f"{made.SOPInstanceUID[:50]}.{number}"),
                ),
            )  # fmt: skip
        assert [one.split_by[-1] for one in list_series(folder / name)] == ["1", "2"]
        assert_no_name(said_of(folder / name, caplog, tmp_path))


@pytest.mark.parametrize("way", ["cut", "empty", "text", "gap", "closed archive", "archive", "missing", "two"])
def test_files_that_are_called_like_the_patient(tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str) -> None:
    caplog.set_level(logging.DEBUG)
    folder = named_series(tmp_path)
    paths = sorted(folder.iterdir())
    given = folder
    if way == "cut":
        for path in paths:
            path.write_bytes(path.read_bytes()[:700])
    elif way == "empty":
        given = folder / "Quorlina.nii"
        given.write_bytes(b"")
    elif way == "text":
        given = folder / "Zyxwvuts.Quorlina"
        given.write_text("Quorlina")
    elif way == "gap":
        paths[1].unlink()
    elif way in ("archive", "closed archive"):
        given = tmp_path / "Quorlina.zip"
        with zipfile.ZipFile(given, "w") as archive:
            for path in paths:
                archive.write(path, f"Zyxwvuts/{path.name}")
        if way == "closed archive":
            content = bytearray(given.read_bytes())
            content[6] |= 1  # says that its first member has a password
            content[content.index(b"PK\x01\x02") + 8] |= 1
            given.write_bytes(content)
    elif way == "missing":
        given = folder / "Quorlina.dcm"
    else:
        nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4, 2), np.int16), np.eye(4)), folder / "Quorlina.nii.gz")
        Image.new("L", (4, 4)).save(folder / "Zyxwvuts.png")
        with pytest.raises(MedSegError) as caught:
            read_study(folder)
        assert_no_name(str(caught.value))
    assert_no_name(said_of(given, caplog, tmp_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"BurnedInAnnotation": "YES"}, "text is burned into"),
        ({"RecognizableVisualFeatures": "YES"}, "can be recognised"),
        ({"Modality": "US", "SOPClassUID": UltrasoundImageStorage}, "ultrasound images"),
        ({"Modality": "OT"}, "secondary captures"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "secondary captures"),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, None),
        ({"BurnedInAnnotation": "NO"}, None),
        ({}, None),
    ],
)
def test_pixels_that_may_show_the_patient_are_pointed_out(
    tmp_path: Path, change: dict[str, str], words: str | None
) -> None:
    def mark(made: Dataset, number: int) -> None:
        # One file of a series is enough.
        if number == 3 or "Modality" in change:
            for keyword, value in change.items():
                setattr(made, keyword, value)

    notices = read_study(write_slices(tmp_path, noise(), straight_positions(5), change=mark)).noticed("burned_in_text")
    assert [words in notice.text for notice in notices] == ([True] if words else [])  # type: ignore[operator]


def test_the_names_are_really_there(tmp_path: Path) -> None:
    """What is planted reaches the files, or the tests above would pass for nothing."""
    folder = named_series(tmp_path, lambda made, _: [plant(made, keyword) for keyword in DESCRIPTIVE])
    path = next(folder.iterdir())
    made = dcmread(path)
    held = {keyword_for_tag(element.tag) for element in made if "Zyxwvuts" in str(element.value)}
    assert held >= set(DESCRIPTIVE)
    assert header("one", 0, 1, 1).PatientName == PLANTED
    assert len(READ_TAGS) > 40
