"""Planted names are in no record of a batch: journal, events, logs, results, names of files and folders."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import pytest

from medseg.errors import StudyFileError
from medseg.inference.batch import segment_batch
from medseg.inference.batch_config import BatchConfig
from medseg.inference.batch_privacy import NameFilter, failure_log
from medseg.report.catalogue import OUTPUT_FORMATS
from tests.medseg.inference.batch_studies import QUESTION, Buggy, write_nifti
from tests.medseg.made_series import PLANTED_WORDS, noise, straight_positions, write_slices

CARRIES_THE_PATIENT = (".dcm",)
"""Files that must name the patient, by the standard."""


def named_studies(folder: Path) -> list[Path]:
    """Studies of a planted patient, whole and broken, in files and folders named after her."""
    name = "Zyxwvuts_Quorlina"
    slices = write_slices(folder / name / "QZ-778812", noise(), straight_positions(5))
    gap = [*straight_positions(3), (-10.0, -20.0, 31.0), (-10.0, -20.0, 40.0)]
    broken = write_slices(folder / f"{name}_gap", noise(), gap)
    two = write_slices(folder / f"{name}_two", noise(), straight_positions(5))
    write_slices(two, noise(seed=1), straight_positions(5), series="Quorlina")
    volume = write_nifti(folder / f"{name}.nii.gz")
    cut = write_nifti(folder / f"{name}_cut.nii.gz")
    cut.write_bytes(cut.read_bytes()[:70])
    buggy = write_nifti(folder / f"{name}_13.nii", shape=(13, 6, 4))
    mixed = folder / f"{name}_mixed"
    write_nifti(mixed / "Zyxwvuts.nii")
    (mixed / "Quorlina.nii").write_bytes(b"broken")
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        archive.write(volume, f"{name}/{name}.nii.gz")
        archive.write(volume, f"{name}/QZ-778812.nii.gz")
    return [
        slices,
        broken,
        two,
        volume,
        cut,
        buggy,
        mixed / "Zyxwvuts.nii",
        folder / f"{name}.zip",
        folder / "Quorlina",
    ]


def test_no_record_names_the_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    studies = named_studies(tmp_path / "in")
    out = tmp_path / "out"
    caplog.clear()
    capfd.readouterr()
    config = BatchConfig(formats=tuple(OUTPUT_FORMATS), progress=True)
    report = segment_batch(studies, QUESTION, out, segmenter=Buggy(), config=config)
    assert (report.count("done"), report.count("failed")) == (3, 6)
    said = [str(report).replace(str(out), ""), caplog.text, *capfd.readouterr()]
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) > 30
    for path in files:
        place = path.relative_to(out).as_posix()
        assert_no_name(place)
        if path.name == "inputs.csv" or path.suffix in CARRIES_THE_PATIENT:
            continue
        # The log quotes the line of the test's own segmenter that raises the name, as it stands in the source.
        text = path.read_bytes().decode("utf-8", errors="replace").replace('raise KeyError("Zyxwvuts^Quorlina")', "")
        said.append(text)
    for text in said:
        assert_no_name(text)
    inputs = (out / "inputs.csv").read_text(encoding="utf-8")
    assert all(str(study) in inputs for study in studies)


def assert_no_name(text: str) -> None:
    for word in PLANTED_WORDS:
        assert word.lower() not in text.lower()


def test_names_of_files_are_replaced_and_words_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "lung"
    write_nifti(folder / "Quorlina.nii")
    write_nifti(folder / "Zyxwvuts" / "a.nii")
    names = NameFilter(folder)
    assert names("Quorlina.nii: expected the lung, found (Zyxwvuts, 000001_a.nii)") == (
        "file 1: expected the lung, found (file 2, 000001_file 3)"
    )
    assert names("lung: expected 5 slices of the lung") == "input: expected 5 slices of the lung"
    assert names(f"cannot open {folder}") == "cannot open input"
    assert names("antenna.nii and banana.nii") == "antenna.nii and banana.nii"


def test_a_log_shows_places_and_only_our_own_words(tmp_path: Path) -> None:
    try:
        try:
            int("Zyxwvuts".lower())
        except ValueError as foreign:
            raise StudyFileError("Quorlina.nii: expected a number") from foreign
    except StudyFileError as error:
        log = failure_log(error, NameFilter(tmp_path / "Quorlina.nii"))
    assert "StudyFileError: input: expected a number" in log
    assert "caused by\nValueError (its text is left out)" in log
    assert "test_batch_privacy.py" in log
    assert "zyxwvuts" not in log
