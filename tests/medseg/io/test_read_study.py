"""Choosing among what an input holds: folders, archives, several series, broken files beside whole ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from medseg.errors import SeriesChoiceError, SizeLimitError, StudyFileError
from medseg.io.limits import ReadLimits
from medseg.io.read_study import ReadOptions, list_series, read_study
from tests.medseg.made_series import noise, straight_positions, write_slices


def two_series(folder: Path) -> Path:
    write_slices(folder / "a", noise(5), straight_positions(5), series="first")
    write_slices(folder / "b", noise(3), straight_positions(3), series="second")
    return folder


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place in sorted(folder.rglob("*")):
            if place.is_file():
                archive.write(place, place.relative_to(folder).as_posix())
    return path


def test_several_series_are_listed_and_none_is_guessed(tmp_path: Path) -> None:
    folder = two_series(tmp_path)
    facts = list_series(folder)
    assert sorted(one.shape for one in facts) == [(8, 6, 3), (8, 6, 5)]
    with pytest.raises(SeriesChoiceError) as caught:
        read_study(folder)
    assert all(one.key in str(caught.value) for one in facts)
    for one in facts:
        study = read_study(folder, series=one.key)
        assert study.volume.shape == one.shape
        assert study.series[0] == one
    assert list_series(str(folder)) == facts
    with pytest.raises(SeriesChoiceError, match="none of that name among 2"):
        read_study(folder, series="third")


def test_a_wrong_name_is_refused_even_where_there_is_one_series(tmp_path: Path) -> None:
    folder = write_slices(tmp_path, noise(3), straight_positions(3))
    with pytest.raises(SeriesChoiceError, match="none of that name among 1"):
        read_study(folder, series="another")


def test_an_archive_is_read_as_its_folder(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "folder", noise(), straight_positions(5))
    plain = read_study(folder).volume
    volume = read_study(zipped(folder, tmp_path / "study.zip")).volume
    np.testing.assert_array_equal(volume.voxels, plain.voxels)
    np.testing.assert_array_equal(volume.voxel_to_ras, plain.voxel_to_ras)
    first = volume.source.files[0]
    assert first.path == tmp_path / "study.zip"
    with zipfile.ZipFile(first.path) as archive:
        assert archive.read(first.member or "") == plain.source.files[0].path.read_bytes()


def test_members_of_an_archive_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    with zipfile.ZipFile(tmp_path / "inside" / "evil.zip", "w") as archive:
        Image.new("L", (3, 2)).save(tmp_path / "x.png")
        archive.write(tmp_path / "x.png", "../../escaped.png")
        archive.writestr("/absolute.png", (tmp_path / "x.png").read_bytes())
    assert len(list_series(tmp_path / "inside" / "evil.zip")) == 2
    assert not list(tmp_path.rglob("escaped.png"))


def test_an_archive_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nii", bytes(2**22))
    limits = ReadLimits(archive_bytes=2**20)
    with pytest.raises(SizeLimitError, match="at most 1048576 bytes"):
        list_series(tmp_path / "bomb.zip", limits=limits)
    with pytest.raises(SizeLimitError, match="at most 1 members"):
        read_study(
            zipped(two_series(tmp_path / "f"), tmp_path / "z.zip"), options=ReadOptions(limits=ReadLimits(files=1))
        )


def test_a_broken_file_beside_whole_ones_is_left_out_and_said(tmp_path: Path) -> None:
    folder = write_slices(tmp_path, noise(3), straight_positions(3))
    (folder / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("not a study")
    study = read_study(folder)
    assert study.volume.shape[2] == 3
    assert study.noticed("files_left_out")[0].text.startswith("2 file(s)")


def test_kinds_of_files_stand_side_by_side(tmp_path: Path) -> None:
    write_slices(tmp_path, noise(3), straight_positions(3))
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    Image.new("L", (3, 2)).save(tmp_path / "b.png")
    assert sorted(one.format for one in list_series(tmp_path)) == ["dicom", "nifti", "picture"]


def test_files_of_one_name_have_keys_of_their_own(tmp_path: Path) -> None:
    for number, folder in enumerate(("x", "y")):
        (tmp_path / folder).mkdir()
        Image.new("L", (3, 2), 7 * number).save(tmp_path / folder / "same.png")
        Image.new("L", (5, 2)).save(tmp_path / folder / f"{folder}.png")
    assert [one.key for one in list_series(tmp_path)] == ["1.png", "2.png", "3.png", "4.png"]
    assert read_study(tmp_path, series="3.png").volume.voxels.max() == 7
    # A file may be called by its own name, as long as there is one.
    assert read_study(tmp_path, series="x.png").volume.shape == (5, 2, 1)
    with pytest.raises(SeriesChoiceError):
        read_study(tmp_path, series="same.png")


def test_the_caller_says_what_a_file_without_a_modality_holds(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.nii")
    volume = read_study(tmp_path / "a.nii", options=ReadOptions(modality="CT")).volume
    assert (volume.modality, volume.unit) == ("CT", "HU")
    dicom = write_slices(tmp_path / "d", noise(3), straight_positions(3))
    assert read_study(dicom, options=ReadOptions(modality="MR")).volume.modality == "CT"  # the file knows better


def test_a_file_that_cannot_be_opened_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_slices(tmp_path, noise(3), straight_positions(3))
    Image.new("L", (3, 2)).save(folder / "closed.png")
    whole = Path.open

    def refuse(self: Path, *args: object, **more: object) -> object:
        if self.name == "closed.png":
            raise PermissionError(13, "Permission denied")
        return whole(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Image, "open", lambda *_, **__: refuse(folder / "closed.png"))
    assert "PermissionError" in read_study(folder).noticed("files_left_out")[0].text


def test_names_and_endings_do_not_decide_where_the_bytes_do(tmp_path: Path) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "real.png")
    (tmp_path / "real.png").rename(tmp_path / "scan.dcm")
    assert list_series(tmp_path / "scan.dcm")[0].format == "picture"
    odd = write_slices(tmp_path / "ünïcode 研究", noise(1), [(0, 0, 0)])
    (path,) = odd.iterdir()
    path.rename(odd / "IM-без имени")
    assert read_study(odd).volume.shape == (8, 6, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "found nothing there"),
        (lambda path: path.mkdir(), "found none"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("hello"), "another kind"),
        (lambda path: path.write_bytes(b"PK\x03\x04broken"), "another kind"),
    ],
)
def test_nothing_to_read_is_said(tmp_path: Path, make: object, words: str) -> None:
    make(tmp_path / "input")  # type: ignore[operator]
    with pytest.raises(StudyFileError, match=words):
        read_study(tmp_path / "input")
