"""From files as they were uploaded to a `Dialogue` about them: kept in the tab's folder, listed, read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from apps.clinic.dialogue import Dialogue, OpenedInput, View
from medseg.errors import InvalidInputError
from medseg.io.limits import ReadLimits
from medseg.io.read_study import ReadOptions, list_series, read_study
from medseg.study.series_facts import SeriesFacts
from medseg.study.slice_plan import plan_slices

UPLOAD_LIMITS = ReadLimits(files=20_000, file_bytes=2 * 2**30, archive_bytes=4 * 2**30, voxel_bytes=2 * 2**30)
"""How much one upload may hold."""
_STUDY_PREFIX = "study_"


def open_upload(files: Sequence[Path], folder: Path) -> Dialogue:
    """A dialogue about files, which are moved into `folder`; earlier uploads there are removed once it is open.

    Files that are refused are deleted, for they are copies that the page made. One file is read as it is,
    several as a folder. Where they hold several series, one is yet to be chosen.

    Raises:
        InvalidInputError: there is no file, or an archive among several files.
        StudyFileError: nothing can be read.
    """
    target = Path(tempfile.mkdtemp(prefix=_STUDY_PREFIX, dir=folder))
    try:
        _check_files(files)
        path = _moved(files, target)
        dialogue = open_path(path, title="Your study" if len(files) == 1 else f"Your study, {len(files)} files")
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        for file in files:
            file.unlink(missing_ok=True)
        raise
    forget_uploads(folder, but=target)
    return dialogue


def open_path(path: Path, *, title: str, questions: tuple[str, ...] = ()) -> Dialogue:
    """A dialogue about a file or folder that stays where it is.

    Raises:
        StudyFileError: nothing can be read.
    """
    series = list_series(path, limits=UPLOAD_LIMITS)
    dialogue = Dialogue(opened=OpenedInput(path=path, title=title, series=series, questions=questions))
    return choose_series(dialogue, series[0].key) if len(series) == 1 else dialogue


def choose_series(dialogue: Dialogue, key: str) -> Dialogue:
    """A new dialogue about a series of what is open.

    Raises:
        InvalidInputError: nothing is open.
        SeriesChoiceError: there is no such series.
        StudyFileError: it cannot be read.
    """
    if dialogue.opened is None:
        raise InvalidInputError("Expected an open study to choose a series of, found none. Open one.")
    study = read_study(dialogue.opened.path, series=key, options=ReadOptions(limits=UPLOAD_LIMITS))
    plan = plan_slices(study.volume)
    view = View(plane=plan.plane, number=plan.shape[0] // 2)
    return Dialogue(opened=dialogue.opened, key=key, study=study, view=view)


def forget_uploads(folder: Path, *, but: Path | None = None) -> None:
    """Remove the uploads of a tab's folder, all but one."""
    for old in folder.glob(f"{_STUDY_PREFIX}*"):
        if old != but:
            shutil.rmtree(old, ignore_errors=True)


def series_choices(opened: OpenedInput) -> list[tuple[str, str]]:
    """What is shown for each series, and its key; the text is for the page of the person who opened it."""
    return [(f"{number}. {series_text(facts)}", facts.key) for number, facts in enumerate(opened.series, 1)]


def series_text(facts: SeriesFacts) -> str:
    """A series in words.

    Example:
        >>> series_text(SeriesFacts(key="1.2", format="dicom", modality="MR", shape=(64, 64, 12), plane="sagittal"))
        'MR, 64 x 64 x 12, sagittal'
    """
    words = [facts.modality if facts.modality != "unknown" else facts.format]
    words.append(" x ".join(str(count) for count in facts.shape))
    if facts.spacing_mm is not None:
        words.append(" x ".join(f"{step:.3g}" for step in facts.spacing_mm) + " mm")
    words += [facts.plane, facts.body_part, facts.split_by, facts.description or facts.file_name]
    return ", ".join(word for word in words if word)


def _check_files(files: Sequence[Path]) -> None:
    if not files:
        raise InvalidInputError("Upload: expected a file, found none. Choose a picture, a NIfTI file or a DICOM zip.")
    if len(files) > 1 and any(file.suffix.lower() == ".zip" for file in files):
        raise InvalidInputError(
            f"Upload: expected one archive alone, or files of one study, found {len(files)} files with an archive "
            "among them. Upload the archive by itself."
        )


def _moved(files: Sequence[Path], target: Path) -> Path:
    """The one file, or the folder of several; two of one name go into folders of their own."""
    for number, file in enumerate(files):
        place = target / file.name
        if place.exists():
            place = target / f"{number:05d}" / file.name
            place.parent.mkdir()
        shutil.move(file, place)
    return target / files[0].name if len(files) == 1 else target
