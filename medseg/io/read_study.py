"""`list_series` and `read_study`: what an input holds, and one series of it as a `Study`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.errors import SeriesChoiceError, StudyFileError
from medseg.io.dicom_groups import FrameGroup, facts_of, group_frames
from medseg.io.dicom_headers import DicomHead, read_head
from medseg.io.dicom_series import read_dicom_volume
from medseg.io.dicom_stack import Gaps, Tilt
from medseg.io.found_files import FoundFile, found_files
from medseg.io.itk_volume import itk_facts, read_itk
from medseg.io.limits import ReadLimits
from medseg.io.nifti import nifti_facts, read_nifti
from medseg.io.parser_failures import parsing
from medseg.io.picture import picture_facts, read_picture
from medseg.study.series_facts import SeriesFacts
from medseg.study.study import Notice, Study
from medseg.study.volume import Volume

_LISTED = 20
"""Most series a message lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How strictly a series is read."""

    gaps: Gaps = "refuse"
    """Uneven gaps and missing slices: `refuse`, or keep the `longest` even run with a notice."""
    tilt: Tilt = "shear"
    """A tilted gantry: `shear` writes it into the affine with a notice, or `refuse`."""
    modality: str = ""
    """DICOM's word for what files of other formats hold; values of `CT` are then taken as HU."""
    limits: ReadLimits = ReadLimits()
    """How much may be opened and allocated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A series that could be read, and what reads it."""

    facts: SeriesFacts
    found: FoundFile
    number: int | None = None
    """Time point or page."""
    group: FrameGroup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    candidates: tuple[_Candidate, ...]
    heads: tuple[DicomHead, ...]
    notices: tuple[Notice, ...]


def list_series(path: Path | str, *, limits: ReadLimits | None = None) -> tuple[SeriesFacts, ...]:
    """Every series of a file, folder or zip archive that could be read, by its headers alone.

    Raises:
        StudyFileError: nothing can be read.
        SizeLimitError: more files or bytes than allowed.
    """
    allowed = limits or ReadLimits()
    with found_files(Path(path), allowed) as files:
        return tuple(candidate.facts for candidate in _contents(files, allowed).candidates)


def read_study(path: Path | str, *, series: str | None = None, options: ReadOptions | None = None) -> Study:
    """One series of a file, folder or zip archive, with its geometry and what was noticed.

    Where there are several, `series` names one by the `key` that `list_series` gives, or by the name of its file where
    one file alone has that name; none is taken by guess.

    Raises:
        SeriesChoiceError: several series and none named, or the named one is not there; the message lists them.
        GeometryError: slices that make no regular grid.
        StudyFileError: nothing can be read.
        SizeLimitError: more files, bytes or voxels than allowed.
    """
    chosen = options or ReadOptions()
    with found_files(Path(path), chosen.limits) as files:
        contents = _contents(files, chosen.limits)
        candidate = _choose(contents.candidates, series)
        volume, notices = _read(candidate, contents.heads, chosen)
    if chosen.modality and volume.modality == "unknown":
        unit = "HU" if chosen.modality == "CT" and volume.unit == "unknown" else volume.unit
        volume = replace(volume, modality=chosen.modality, unit=unit)
    return Study(series=(candidate.facts,), volumes=(volume,), notices=(*contents.notices, *notices))


def _read(candidate: _Candidate, heads: Sequence[DicomHead], options: ReadOptions) -> tuple[Volume, list[Notice]]:
    if candidate.group is not None:
        return read_dicom_volume(candidate.group, heads, options.limits, options.gaps, options.tilt)
    if candidate.facts.format == "nifti":
        return read_nifti(candidate.found, candidate.number, options.limits)
    if candidate.facts.format == "itk":
        return read_itk(candidate.found, options.limits)
    return read_picture(candidate.found, candidate.number, options.limits)


def _choose(candidates: Sequence[_Candidate], series: str | None) -> _Candidate:
    if series is None and len(candidates) == 1:
        return candidates[0]
    matching = [candidate for candidate in candidates if candidate.facts.key == series]
    matching = matching or [
        candidate for candidate in candidates if series and _name_in_files(candidate.facts) == series
    ]
    if len(matching) == 1:
        return matching[0]
    found = (
        f"{len(candidates)} series and none named" if series is None else f"none of that name among {len(candidates)}"
    )
    lines = [f"  {candidate.facts.line()}" for candidate in candidates[:_LISTED]]
    if len(candidates) > _LISTED:
        lines.append(f"  and {len(candidates) - _LISTED} more")
    listing = "\n".join(lines)
    raise SeriesChoiceError(f"Study: expected one series, found {found}. Name one by its key, series=...:\n{listing}")


def _name_in_files(facts: SeriesFacts) -> str:
    """The key with the file's own name in it, as people may type it; empty for DICOM."""
    return facts.file_name and facts.file_name + "".join(facts.key.partition("?")[1:])


def _contents(files: Sequence[FoundFile], limits: ReadLimits) -> _Contents:
    """What each file holds. A broken file among others is left out with a notice; a broken one alone is an error."""
    heads: list[DicomHead] = []
    candidates: list[_Candidate] = []
    failures: list[StudyFileError] = []
    for number, found in enumerate(files):
        try:
            with parsing(found.name, "a readable file"):
                limits.check_file(found.path.stat().st_size, found.name)
            if found.kind == "dicom":
                heads.append(read_head(found, number))
            else:
                candidates += _whole_files(found, limits)
        except StudyFileError as failure:
            failures.append(failure)
    groups = group_frames(heads)
    candidates += [_Candidate(facts=facts_of(group), found=group.head.found, group=group) for group in groups]
    if not candidates:
        if len(failures) == 1:
            raise failures[0]
        raise StudyFileError(
            f"Study: expected an image, found {len(failures)} files without one that can be read. The first: "
            f"{failures[0] if failures else 'none'}"
        )
    return _Contents(candidates=tuple(candidates), heads=tuple(heads), notices=_left_out(failures))


def _whole_files(found: FoundFile, limits: ReadLimits) -> list[_Candidate]:
    readers = {"nifti": nifti_facts, "itk": itk_facts, "picture": picture_facts}
    if found.kind not in readers:
        raise StudyFileError(
            f"{found.name}: expected a DICOM, NIfTI, MGH, NRRD, MetaImage or picture file, found another kind. "
            "Convert it first."
        )
    facts = readers[found.kind](found, limits)
    one = len(facts) == 1
    return [_Candidate(facts=fact, found=found, number=None if one else number) for number, fact in enumerate(facts)]


def _left_out(failures: Sequence[StudyFileError]) -> tuple[Notice, ...]:
    if not failures:
        return ()
    text = f"{len(failures)} file(s) without a readable image were left out. The first: {failures[0]}"
    return (Notice(code="files_left_out", text=text),)
