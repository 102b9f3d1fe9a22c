"""Twenty kinds of bad input, one table: each is refused in clear words, or read with a notice; by the API and by the
command, which shows no traceback."""

from __future__ import annotations

import builtins
import io
import os
import resource
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEG2000Lossless, SecondaryCaptureImageStorage

from medseg.errors import (
    GeometryError,
    InvalidInputError,
    MedSegError,
    SeriesChoiceError,
    SizeLimitError,
    StudyFileError,
)
from medseg.inference.catalogue import load_segmenter
from medseg.inference.segment import segment
from medseg.io.read_study import read_study
from medseg.io.write_masks import write_mask_nifti
from medseg.study.study import Study
from tests.medseg.made_series import noise, straight_positions, write_slices

QUESTION = "Where is the bone?"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A bad input and what is to come of it."""

    make: Callable[[Path, pytest.MonkeyPatch], Path]
    """Writes it; returns its path."""
    error: type[MedSegError] | None = None
    """How it is refused; None where it is read."""
    words: str = ""
    """In the message."""
    notice: str = ""
    """Code of what is noticed where it is read."""
    holds: Callable[[Study], bool] = lambda study: True
    """What must be true of what was read."""


def series(folder: Path, change: Callable[[Dataset, int], None] | None = None, **more: object) -> Path:
    return write_slices(folder / "study", noise(4), straight_positions(4), change=change, **more)  # type: ignore[arg-type]


def nifti(folder: Path, values: np.ndarray, name: str = "study.nii") -> Path:
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0])), folder / name)
    return folder / name


def empty_folder(folder: Path, _: pytest.MonkeyPatch) -> Path:
    (folder / "study").mkdir()
    return folder / "study"


def mixed_series(folder: Path, _: pytest.MonkeyPatch) -> Path:
    series(folder)
    return series(folder, series="two")


def missing_slices(folder: Path, _: pytest.MonkeyPatch) -> Path:
    return write_slices(folder / "study", noise(4), [straight_positions(9)[number] for number in (0, 1, 2, 6)])


def duplicate_instance(folder: Path, _: pytest.MonkeyPatch) -> Path:
    made = series(folder)
    first = sorted(made.iterdir())[0]
    (made / "copy.dcm").write_bytes(first.read_bytes())
    return made


def signed_trap(folder: Path, _: pytest.MonkeyPatch) -> Path:
    """Stored values of -2000 and 2000 whose bytes, taken as unsigned, would be 63,536 and 2000."""
    pixels = np.full((4, 6, 8), -2000, dtype=np.int16)
    pixels[:, 0, 0] = 2000

    def plain(made: Dataset, number: int) -> None:
        made.RescaleIntercept = 0

    return write_slices(folder / "study", pixels, straight_positions(4), change=plain)


def secondary_capture(folder: Path, _: pytest.MonkeyPatch) -> Path:
    def capture(made: Dataset, number: int) -> None:
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
        made.PixelData = np.arange(6 * 8 * 3, dtype=np.uint8).tobytes()
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"):
            delattr(made, name)
        made.Modality = "OT"

    return write_slices(folder / "study", noise(1), straight_positions(1), change=capture)


def no_codec(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    pixels = noise(2, 64, 64)
    made = write_slices(
        folder / "study", pixels, straight_positions(2), change=lambda header, _: header.compress(JPEG2000Lossless)
    )
    patch.setattr(get_decoder(JPEG2000Lossless), "_available", {})
    return made


def some_nan(folder: Path, _: pytest.MonkeyPatch) -> Path:
    values = np.zeros((4, 4, 4), np.float32)
    values[1, 1, 1], values[2, 2, 2] = np.nan, np.inf
    return nifti(folder, values)


def only_nan(folder: Path, _: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.full((4, 4, 4), np.nan, np.float32))


def zero_spacing(folder: Path, _: pytest.MonkeyPatch) -> Path:
    return series(folder, spacing=(0.0, 0.9))


def zero_affine(folder: Path, _: pytest.MonkeyPatch) -> Path:
    path = nifti(folder, np.zeros((4, 4, 4), np.int16))
    content = bytearray(path.read_bytes())
    content[76:108] = np.array([1, 0, 0, 0, 0, 0, 0, 0], "<f4").tobytes()  # pixdim
    content[252:256] = bytes(4)  # neither of the two ways to give a place
    path.write_bytes(content)
    return path


def four_axes(folder: Path, _: pytest.MonkeyPatch) -> Path:
    return nifti(folder, np.zeros((4, 4, 4, 3), np.int16))


def huge(folder: Path, _: pytest.MonkeyPatch) -> Path:
    path = nifti(folder, np.zeros((4, 4, 4), np.int16))
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30_000, 30_000, 30_000], "<i2").tobytes()
    path.write_bytes(content)
    return path


def truncated(folder: Path, _: pytest.MonkeyPatch) -> Path:
    made = series(folder)
    for path in made.iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    return made


def closed_file(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    path = folder / "study.png"
    Image.new("L", (6, 5)).save(path)
    path.chmod(0)
    whole = io.open

    def refuse(file: object, *given: object, **more: object) -> object:
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied")
        return whole(file, *given, **more)  # type: ignore[call-overload]

    if os.access(path, os.R_OK):  # the superuser, as whom tests may run, may read everything
        patch.setattr(io, "open", refuse)
        patch.setattr(builtins, "open", refuse)
    return path


def picture_called_dicom(folder: Path, _: pytest.MonkeyPatch) -> Path:
    Image.new("L", (6, 5), 9).save(folder / "picture.png")
    return (folder / "picture.png").rename(folder / "study.dcm")


def text_called_nifti(folder: Path, _: pytest.MonkeyPatch) -> Path:
    (folder / "study.nii.gz").write_text("not an image")
    return folder / "study.nii.gz"


def other_letters(folder: Path, _: pytest.MonkeyPatch) -> Path:
    (folder / "Größe 研究 🩻").mkdir()
    return series(folder / "Größe 研究 🩻")


def zipped(folder: Path, _: pytest.MonkeyPatch) -> Path:
    with zipfile.ZipFile(folder / "study.zip", "w") as archive:
        for path in series(folder).iterdir():
            archive.write(path, f"deep/inside/{path.name}")
    return folder / "study.zip"


def bomb(folder: Path, _: pytest.MonkeyPatch) -> Path:
    """Members that claim more than the reader unpacks, and nothing behind the claim."""
    path = folder / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"{number}.nii", bytes(1000))
    content = bytearray(path.read_bytes())
    at = -1
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:
        content[at + 24 : at + 28] = (4_000_000_000).to_bytes(4, "little")
    path.write_bytes(content)
    return path


def read_back_signed(study: Study) -> bool:
    return (study.volume.voxels.min(), study.volume.voxels.max()) == (-2000, 2000)


CASES = {
    "empty folder": Case(make=empty_folder, error=StudyFileError, words="found none"),
    "mixed series": Case(make=mixed_series, error=SeriesChoiceError, words="found 2 series and none named"),
    "missing slices": Case(make=missing_slices, error=GeometryError, words="3 missing slice(s) of 8.000 mm"),
    "duplicate instance": Case(
        make=duplicate_instance, notice="copies_left_out", holds=lambda s: s.volume.shape[2] == 4
    ),
    "16-bit signed trap": Case(make=signed_trap, holds=read_back_signed),
    "RGB secondary capture": Case(
        make=secondary_capture, notice="burned_in_text", holds=lambda s: s.volume.voxels.shape == (8, 6, 1, 3)
    ),
    "JPEG 2000 without plugin": Case(
        make=no_codec, error=StudyFileError, words="JPEG 2000 Image Compression (Lossless Only). Run: pip install"
    ),
    "some NaN": Case(make=some_nan, notice="not_finite", holds=lambda s: bool(np.isfinite(s.volume.voxels).all())),
    "nothing but NaN": Case(make=only_nan, error=StudyFileError, words="nothing but NaN and infinity"),
    "zero spacing": Case(make=zero_spacing, error=GeometryError, words="positive pixel spacing"),
    "zero spacing of NIfTI": Case(make=zero_affine, notice="no_spacing", holds=lambda s: not s.volume.spacing_known),
    "four axes": Case(make=four_axes, error=SeriesChoiceError, words="found 3 series and none named"),
    "huge": Case(make=huge, error=SizeLimitError, words="found a header of [30000, 30000, 30000]"),
    "truncated": Case(make=truncated, error=StudyFileError, words="found one that cannot be read"),
    "permission": Case(make=closed_file, error=StudyFileError, words="PermissionError). Ask for the right"),
    "wrong extension": Case(make=picture_called_dicom, holds=lambda s: s.volume.shape == (6, 5, 1)),
    "wrong extension of text": Case(make=text_called_nifti, error=StudyFileError, words="expected"),
    "non-ASCII path": Case(make=other_letters, holds=lambda s: s.volume.shape == (8, 6, 4)),
    "zip": Case(make=zipped, holds=lambda s: s.volume.shape == (8, 6, 4)),
    "zip bomb": Case(make=bomb, error=SizeLimitError, words="found 32000000000"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_read_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    case = CASES[name]
    path = case.make(tmp_path, monkeypatch)
    if case.error is None:
        study = read_study(path)
        assert case.holds(study)
        assert not case.notice or study.noticed(case.notice)
        return
    with pytest.raises(case.error) as caught:
        read_study(path)
    message = str(caught.value)
    assert case.words in message
    assert "expected" in message
    assert "found" in message


@pytest.mark.parametrize("name", CASES)
def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    case = CASES[name]
    path = case.make(tmp_path, monkeypatch)
    code, said = command(capsys, "segment", "-i", str(path), "-o", str(tmp_path / "out"), QUESTION)
    assert code == (0 if case.error is None else 1), said
    assert "Traceback" not in said
    if case.error is not None:
        assert case.words in said
        assert said.count("error: ") == 1
        assert not (tmp_path / "out").exists()


def command(capsys: pytest.CaptureFixture[str], *given: str) -> tuple[int, str]:
    cli = pytest.importorskip("medseg.cli", reason="needs the medseg command")
    code = cli.main([*given])
    captured = capsys.readouterr()
    return code, captured.err


@pytest.mark.parametrize(
    ("question", "words"),
    [("", "found an empty one"), (" \n\t", "found an empty one"), ("x" * 100_000, "found 100000")],
)
def test_prompts(tmp_path: Path, capsys: pytest.CaptureFixture[str], question: str, words: str) -> None:
    path = series(tmp_path)
    with pytest.raises(InvalidInputError, match=words):
        segment(load_segmenter(), read_study(path), question)
    code, said = command(capsys, "segment", "-i", str(path), "-o", str(tmp_path / "out"), question)
    assert code == 1
    assert words in said
    assert len(said) < 1000
    assert "Traceback" not in said


def test_no_gpu() -> None:
    with pytest.raises(InvalidInputError, match="expected"):
        load_segmenter("classical", device="cuda:7")


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_while_writing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = read_study(series(tmp_path))
    out = tmp_path / "out"
    out.mkdir()
    write_mask_nifti(out / "mask.nii", study.volume.voxels > 500, study.volume)
    old = (out / "mask.nii").read_bytes()
    with little_room(100), pytest.raises(OSError, match="File too large"):
        write_mask_nifti(out / "mask.nii", study.volume.voxels > 0, study.volume)
    # What was there stays, and no half of a file lies beside it.
    assert [path.name for path in out.iterdir()] == ["mask.nii"]
    assert (out / "mask.nii").read_bytes() == old
    with little_room(100):
        code, said = command(capsys, "segment", "-i", str(tmp_path / "study"), "-o", str(out / "new"), QUESTION)
    assert code == 1
    assert "Check the path and the disk" in said
    assert "Traceback" not in said
