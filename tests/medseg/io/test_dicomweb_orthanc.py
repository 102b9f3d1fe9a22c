"""A study goes into a real PACS and comes back as it was, its segmentation and report too."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydicom import dcmread

from medseg.errors import DicomwebError, PartialStoreError
from medseg.io.dicomweb import StudyQuery, fetch_study, find_series, find_studies
from medseg.io.dicomweb_server import DicomwebLogin, DicomwebOptions
from medseg.io.dicomweb_store import store_instances
from medseg.io.read_dicom_seg import read_dicom_seg
from medseg.io.read_study import read_study
from medseg.io.write_dicom_seg import write_dicom_seg
from medseg.io.write_dicom_sr import write_dicom_sr
from medseg.io.write_rtstruct import write_rtstruct
from tests.medseg.io.orthanc_server import PASSWORD, USER, Pacs, running_orthanc
from tests.medseg.made_series import PLANTED_WORDS, header, noise, straight_positions, write_slices
from tests.medseg.report.made_results import finding, result

LOGIN = DicomwebOptions(login=DicomwebLogin(user=USER, password=PASSWORD), retries=1, first_pause_s=0.05)
STUDY = header("one", 0, 1, 1).StudyInstanceUID
SERIES = header("one", 0, 1, 1).SeriesInstanceUID


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture(scope="module")
def sent(pacs: Pacs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT series that the server holds, beside a second series of the same study."""
    folder = tmp_path_factory.mktemp("sent")
    across = (0.8, 0.6, 0, -0.6, 0.8, 0)
    one = write_slices(folder / "one", noise(7), straight_positions(7), orientation=across)
    two = write_slices(
        folder / "two", noise(3, seed=4), straight_positions(3), series="two", change=lambda made, _: _packed(made)
    )
    paths = sorted([*one.iterdir(), *two.iterdir()])
    uids = store_instances(pacs.url, paths, options=LOGIN)
    assert len(set(uids)) == 10
    return folder


def _packed(made: object) -> None:
    made.compress("1.2.840.10008.1.2.5")  # type: ignore[attr-defined]


def contents(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_series_comes_back_with_its_voxels_and_geometry(pacs: Pacs, sent: Path, tmp_path: Path) -> None:
    (series,) = fetch_study(pacs.url, STUDY, tmp_path / "came", series_uid=SERIES, options=LOGIN)
    assert (series.series_uid, series.modality, series.instances) == (SERIES, "CT", 7)
    before, after = read_study(sent / "one").volume, read_study(tmp_path / "came").volume
    np.testing.assert_array_equal(after.voxels, before.voxels)
    np.testing.assert_array_equal(after.voxel_to_ras, before.voxel_to_ras)
    assert (after.unit, after.modality) == (before.unit, before.modality)
    assert contents(tmp_path / "came") == contents(sent / "one")


def test_a_study_comes_back_as_stored_packed_series_too(pacs: Pacs, sent: Path, tmp_path: Path) -> None:
    series = fetch_study(pacs.url + "/", STUDY, tmp_path, options=LOGIN)  # an empty folder will do
    assert contents(tmp_path) >= contents(sent)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n:03d}" for n in range(1, len(series) + 1)]


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_segmentation_and_report_go_to_their_study_and_come_back(
    pacs: Pacs, sent: Path, tmp_path: Path, kind: Literal["binary", "labelmap"]
) -> None:
    fetch_study(pacs.url, STUDY, tmp_path / "images", series_uid=SERIES, options=LOGIN)
    volume = read_study(tmp_path / "images").volume
    left, right = np.zeros(volume.shape, dtype=bool), np.zeros(volume.shape, dtype=bool)
    left[1:4, 1:3, 2:6], right[5:, 3:, 0 if kind == "binary" else 6] = True, True
    answer = result(volume, [finding(volume, "liver", left), finding(volume, "spleen", right)])
    seg, sr, rtstruct = (tmp_path / name for name in ("seg.dcm", "sr.dcm", "rtstruct.dcm"))
    segmentation = write_dicom_seg(seg, answer, kind=kind)
    write_dicom_sr(sr, answer, segmentation=segmentation)
    write_rtstruct(rtstruct, answer)
    before = {one.series_uid for one in find_series(pacs.url, STUDY, options=LOGIN)}

    assert len(store_instances(pacs.url, [seg, sr, rtstruct], options=LOGIN)) == 3
    new = [one for one in find_series(pacs.url, STUDY, options=LOGIN) if one.series_uid not in before]
    assert sorted(one.modality for one in new) == ["RTSTRUCT", "SEG", "SR"]
    came = {}
    for one in new:
        fetch_study(pacs.url, STUDY, tmp_path / one.modality, series_uid=one.series_uid, options=LOGIN)
        (came[one.modality],) = (tmp_path / one.modality).rglob("*.dcm")
    for modality, path in (("SEG", seg), ("SR", sr), ("RTSTRUCT", rtstruct)):
        assert came[modality].read_bytes() == path.read_bytes()
    masks = read_dicom_seg(came["SEG"], volume).masks
    assert [one.label for one in masks] == ["liver", "spleen"]
    np.testing.assert_array_equal(masks[0].mask, left)
    np.testing.assert_array_equal(masks[1].mask, right)
    assert dcmread(came["SR"]) == dcmread(sr)


def test_searches_give_kinds_and_counts_and_no_name(pacs: Pacs, sent: Path) -> None:
    (study,) = find_studies(pacs.url, StudyQuery(patient_id="QZ-778812", modality="CT"), options=LOGIN)
    assert study.study_uid == STUDY
    assert find_studies(pacs.url, StudyQuery(patient_id="nobody"), options=LOGIN) == ()
    assert find_studies(pacs.url, most=0, options=LOGIN) == ()
    series = find_series(pacs.url, STUDY, options=LOGIN)
    assert {3, 7} <= {one.instances for one in series}
    assert not any(word in repr((study, series)) for word in PLANTED_WORDS)


@pytest.mark.parametrize(
    ("login", "study", "series", "words"),
    [
        (DicomwebLogin(user=USER, password="wrong"), STUDY, None, "no login it accepts"),
        (DicomwebLogin(), STUDY, None, "status 401"),
        (None, "1.2.3.4", None, "no study of that UID"),
        (None, STUDY, "1.2.3.5", "none of that UID"),
    ],
)
def test_refusals_are_said_and_leave_no_folder(
    pacs: Pacs, sent: Path, tmp_path: Path, login: DicomwebLogin | None, study: str, series: str | None, words: str
) -> None:
    options = LOGIN if login is None else DicomwebOptions(login=login)
    with pytest.raises(DicomwebError, match=words):
        fetch_study(pacs.url, study, tmp_path / "came", series_uid=series, options=options)
    assert list(tmp_path.iterdir()) == []


def test_the_login_may_lie_in_the_environment(pacs: Pacs, sent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSEG_DICOMWEB_USER", USER)
    monkeypatch.setenv("MEDSEG_DICOMWEB_PASSWORD", PASSWORD)
    assert find_studies(pacs.url)


def test_what_the_server_does_not_take_is_listed(pacs: Pacs, sent: Path, tmp_path: Path) -> None:
    good, other = sorted((sent / "one").iterdir())[:2]
    bad = tmp_path / "Quorlina.dcm"
    # Its header ends where a UID says that it goes on for longer than the file is.
    content = other.read_bytes()
    at = content.index(header("one", 0, 1, 1).StudyInstanceUID.encode())
    bad.write_bytes(content[: at - 2] + b"\xf0\xff" + content[at : at + 8])
    with pytest.raises(PartialStoreError) as caught:
        store_instances(pacs.url, [bad, good], options=LOGIN)
    assert set(caught.value.failed) == {0}
    assert len(caught.value.stored) == 1
    assert "  1: " in str(caught.value)
    assert "Quorlina" not in str(caught.value)


def test_no_log_and_no_message_holds_a_login_or_a_number(
    pacs: Pacs, sent: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    find_studies(pacs.url, StudyQuery(patient_id="QZ-778812"), options=LOGIN)
    fetch_study(pacs.url, STUDY, tmp_path / "came", options=LOGIN)
    with pytest.raises(DicomwebError) as caught:
        find_studies(
            pacs.url,
            StudyQuery(patient_id="QZ-778812"),
            options=DicomwebOptions(login=DicomwebLogin(user=USER, password=PASSWORD + "x")),
        )
    said = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(LOGIN)
    assert not any(word in said for word in (*PLANTED_WORDS, PASSWORD))
