"""What the DICOMweb client makes of servers that are slow, broken, forged or not there."""

from __future__ import annotations

import copy
import resource
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from medseg.errors import (
    DicomwebError,
    InvalidInputError,
    MedSegError,
    PartialStoreError,
    SizeLimitError,
    StudyFileError,
)
from medseg.io.dicomweb import StudyQuery, fetch_study, find_series, find_studies
from medseg.io.dicomweb_server import DicomwebLogin, DicomwebOptions
from medseg.io.dicomweb_store import store_instances
from medseg.io.limits import ReadLimits
from tests.medseg.io.scripted_server import Reply, as_json, as_parts, scripted
from tests.medseg.made_series import noise, straight_positions, write_slices

SOON = DicomwebOptions(retries=2, first_pause_s=0.0, connect_timeout_s=2.0, read_timeout_s=5.0)
STUDIES, SERIES_OF, SERIES = "/dicom-web/studies", "/dicom-web/studies/1.2/series", "/dicom-web/studies/1.2/series/1.3"
MATCH = {
    "0020000D": {"vr": "UI", "Value": ["1.2"]},
    "0020000E": {"vr": "UI", "Value": ["1.3"]},
    "00080060": {"vr": "CS", "Value": ["CT"]},
    "00201209": {"vr": "IS", "Value": [2]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Zyxwvuts^Quorlina"}]},
}
LISTED = [as_json([MATCH]), as_json([])]


def fetched(tmp_path: Path, *replies: Reply, options: DicomwebOptions = SOON) -> list[bytes]:
    with scripted({SERIES_OF: LISTED, SERIES: replies}) as server:
        fetch_study(server.url, "1.2", tmp_path / "study", options=options)
    return [path.read_bytes() for path in sorted((tmp_path / "study").rglob("*.dcm"))]


def test_lost_and_busy_answers_are_asked_for_again(tmp_path: Path) -> None:
    whole = as_parts(b"one", b"two")
    cut = Reply(body=whole.body[:90], headers=whole.headers, promised=len(whole.body))
    assert fetched(tmp_path, Reply(status=503, headers={"Retry-After": "0"}), cut, whole) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ([Reply(status=500)], "status 500"),
        ([Reply(status=302, headers={"Location": "http://192.0.2.1/"})], "points to another address"),
        ([Reply(status=403)], "without the right"),
        ([as_parts(b"one", b"two", end=False)], "found one that is cut"),
        ([as_parts(b"one")], "expected 2 instance"),
        ([as_parts()], "expected 2 instance"),
        ([Reply(body=b"<html>", headers={"Content-Type": "text/html"})], "instances in parts"),
        ([Reply(promised=50, headers=as_parts().headers)], "found one that is cut"),
        ([Reply(status=406)], "in a form read here"),
        ([Reply(status=404)], "nothing there"),
    ],
)
def test_bad_answers_are_said_and_leave_nothing(tmp_path: Path, replies: list[Reply], words: str) -> None:
    with pytest.raises(DicomwebError, match=words):
        fetched(tmp_path, *replies)
    assert list(tmp_path.iterdir()) == []


def test_servers_that_cannot_send_as_stored_send_as_they_like(tmp_path: Path) -> None:
    assert fetched(tmp_path, Reply(status=406), as_parts(b"one", b"two")) == [b"one", b"two"]


def test_silence_ends_after_the_timeout(tmp_path: Path) -> None:
    options = DicomwebOptions(retries=0, read_timeout_s=0.2)
    with pytest.raises(DicomwebError, match=r"silence for 0\.2 s"):
        fetched(tmp_path, Reply(wait_s=1.0), options=options)


def test_no_server_is_said() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(DicomwebError, match=rf"http://127.0.0.1:{port}/x: .*no server that answers.* \(3 attempt"):
        find_studies(f"http://127.0.0.1:{port}/x", StudyQuery(patient_id="QZ-778812"), options=SOON)


def test_limits_bound_what_is_fetched(tmp_path: Path) -> None:
    for limits in (ReadLimits(files=1), ReadLimits(archive_bytes=5), ReadLimits(file_bytes=2)):
        options = DicomwebOptions(retries=0, limits=limits)
        with pytest.raises(SizeLimitError):
            fetched(tmp_path, as_parts(b"one", b"two"), options=options)
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(MedSegError, match="Make room"):
            fetched(tmp_path, as_parts(bytes(10_000), b"two"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="a new or an empty one"):
        fetched(tmp_path, as_parts(b"one", b"two"))
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["notes.txt"]


def test_pages_of_matches_are_put_together_and_the_same_page_again_ends_it() -> None:
    other = MATCH | {"0020000D": {"vr": "UI", "Value": ["1.9"]}}
    with scripted({STUDIES: [as_json([MATCH]), as_json([other]), as_json([other])]}) as server:
        found = find_studies(server.url, options=SOON)
        assert [one.study_uid for one in found] == ["1.2", "1.9"]
        assert len(server.asked) == 3
    with scripted({STUDIES: [as_json([MATCH, other])]}) as server:
        assert len(find_studies(server.url, most=1, options=SOON)) == 1


@pytest.mark.parametrize(
    "reply",
    [
        as_json({"error": "Zyxwvuts"}),
        as_json(["Zyxwvuts"]),
        as_json([{"0020000D": "Zyxwvuts"}]),
        as_json([{"0020000D": {"Value": ["../Zyxwvuts"]}}]),
        Reply(body=b"[" * 100_000, headers={"Content-Type": "application/json"}),
        Reply(body=b"Zyxwvuts"),
    ],
)
def test_searches_that_are_answered_oddly(reply: Reply) -> None:
    with scripted({STUDIES: [reply]}) as server:
        with pytest.raises(MedSegError) as caught:
            find_studies(server.url, options=SOON)
    assert "Zyxwvuts" not in str(caught.value)


def test_a_study_that_is_not_there() -> None:
    for reply in (as_json([]), Reply(status=204), Reply(status=404)):
        with scripted({SERIES_OF: [reply]}) as server:
            with pytest.raises(DicomwebError, match=r"study 1\.2, found no study"):
                find_series(server.url, "1.2", options=SOON)


def test_the_login_goes_along_and_nowhere_else() -> None:
    with scripted({STUDIES: [as_json([])]}) as server:
        for login, sent in (
            (DicomwebLogin(user="reader", password="p"), "Basic cmVhZGVyOnA="),
            (DicomwebLogin(token="abc"), "Bearer abc"),
            (DicomwebLogin(), None),
        ):
            find_studies(server.url, options=DicomwebOptions(login=login))
            assert server.asked[-1][2].get("Authorization") == sent
            assert repr(login) == "DicomwebLogin()"


@pytest.mark.parametrize(
    "url",
    ["", "pacs", "ftp://pacs/x", "http://", "http://me:secret@pacs/x", "http://pacs/x?token=secret", "http://p:x/"],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        find_studies(url, options=SOON)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uid", ["", "../1.2", "1.2/3", "1" * 65, "Zyxwvuts"])
def test_uids_that_are_none(uid: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="of digits and dots"):
        fetch_study("http://127.0.0.1:9/x", uid, tmp_path / "s", options=SOON)


def test_options_that_contradict_themselves() -> None:
    for wrong in ({"retries": -1}, {"read_timeout_s": 0.0}, {"first_pause_s": -1.0}):
        with pytest.raises(InvalidInputError, match="DicomwebOptions"):
            DicomwebOptions(**wrong)  # type: ignore[arg-type]


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secure, certificate = self_signed(tmp_path)
    with scripted({STUDIES: [as_json([MATCH]), as_json([])] * 2}, secure) as server:
        with pytest.raises(DicomwebError, match="a certificate that can be trusted"):
            find_studies(server.url, options=SOON)
        assert server.asked == []
        assert len(find_studies(server.url, options=DicomwebOptions(ca_file=certificate))) == 1
        assert not caplog.records
        assert len(find_studies(server.url, options=DicomwebOptions(verify_tls=False))) == 1
        assert "not checked" in caplog.text


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(certificate, key)
    return secure, certificate


def items(**reasons: int) -> dict[str, object]:
    return {"vr": "SQ", "Value": [
        {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [code]}}
        for uid, code in reasons.items()
    ]}  # fmt: skip


@pytest.fixture
def three(tmp_path: Path) -> tuple[list[Path], list[str]]:
    from pydicom import dcmread

    paths = sorted(write_slices(tmp_path / "three", noise(3), straight_positions(3)).iterdir())
    return paths, [str(dcmread(path).SOPInstanceUID) for path in paths]


def stored(paths: list[Path], *replies: Reply) -> tuple[str, ...]:
    with scripted({STUDIES: replies}) as server:
        return store_instances(server.url, paths, options=SOON)


def test_all_stored(three: tuple[list[Path], list[str]]) -> None:
    paths, uids = three
    assert list(stored(paths, Reply())) == uids
    assert list(stored(paths, Reply(status=503), as_json({"00081199": items(**dict.fromkeys(uids, 0))}))) == uids


def test_files_are_sent_as_they_are(three: tuple[list[Path], list[str]]) -> None:
    with scripted({STUDIES: [Reply()]}) as server:
        store_instances(server.url, three[0], options=SOON)
    assert all(path.read_bytes() in server.bodies[0] for path in three[0])


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (lambda uids: [as_json({"00081199": items(**{uids[1]: 0}),
                                "00081198": items(**{uids[0]: 0xA700, uids[2]: 0x0122})}, 202)],
         {0: "out of room (reason A700)", 2: "does not take this SOP class"}),
        (lambda uids: [as_json({"00081198": items(**dict.fromkeys(uids, 0xC123))}, 409)],
         {0: "cannot understand it", 1: "cannot understand it", 2: "cannot understand it"}),
        (lambda uids: [as_json({"00081199": items(**{uids[1]: 0})}, 202)],
         {0: "did not say", 2: "did not say"}),
        (lambda uids: [Reply(status=400), Reply(), Reply(status=400), Reply()],
         {1: "the server refused it (status 400)"}),
        (lambda uids: [Reply(status=409), Reply(), Reply(status=409), Reply()],
         {1: "did not say"}),
    ],
)  # fmt: skip
def test_each_instance_that_was_not_stored_is_named(
    three: tuple[list[Path], list[str]], answer: Callable[[list[str]], list[Reply]], failed: dict[int, str]
) -> None:
    paths, uids = three
    with pytest.raises(PartialStoreError) as caught:
        stored(paths, *answer(uids))
    assert caught.value.failed.keys() == failed.keys()
    for number, words in failed.items():
        assert words in caught.value.failed[number]
        assert f"{number + 1}: " in str(caught.value)
    assert list(caught.value.stored) == [uid for number, uid in enumerate(uids) if number not in failed]
    again = copy.copy(caught.value)  # as a worker process hands it over
    assert (str(again), again.failed, again.stored) == (str(caught.value), caught.value.failed, caught.value.stored)


def test_a_refusal_of_everything_is_one_error(three: tuple[list[Path], list[str]]) -> None:
    with pytest.raises(DicomwebError, match="no login it accepts") as caught:
        stored(three[0], Reply(status=401))
    assert not isinstance(caught.value, PartialStoreError)


def test_what_cannot_be_sent_is_refused_before_anything_is(three: tuple[list[Path], list[str]], tmp_path: Path) -> None:
    paths, _ = three
    (tmp_path / "text.dcm").write_text("hello")
    for wrong, error, words in (
        ([], InvalidInputError, "at least one"),
        ([paths[0], paths[1], paths[0]], InvalidInputError, "at 1 and 3"),
        ([paths[0], tmp_path / "text.dcm"], StudyFileError, "Instance 2 of 2"),
        ([tmp_path / "missing.dcm"], StudyFileError, "Instance 1 of 1"),
    ):
        with scripted({STUDIES: [Reply()]}) as server:
            with pytest.raises(error, match=words):
                store_instances(server.url, wrong, options=SOON)
            assert server.asked == []
