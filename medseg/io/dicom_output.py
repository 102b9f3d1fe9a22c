"""What DICOM SEG, RTSTRUCT and SR have in common: options, who made them, whom they belong to, and writing in one step.

Objects of equal content have equal UIDs. The time of making is the one thing that differs between two runs, and it can
be given; then the files are equal byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from jaxtyping import Bool
from numpy import ndarray
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from medseg.errors import InvalidInputError
from medseg.io.dicom_source import IDENTITY, SourceImages
from medseg.io.dicom_uids import hash_of_masks, uid_of
from medseg.io.parser_failures import quiet_parsers
from medseg.study.finding import Finding
from medseg.study.resampling import to_source_grid
from medseg.study.result import RESEARCH_USE, SegmentationResult
from medseg.study.study import Notice
from medseg.study.volume import Volume
from vlm_bridge.atomic_write import written_whole

MANUFACTURER = "vision3d-medseg"
"""DICOM's word for who made the software."""
MODEL_NAME = "medseg (research use only)"
_PSEUDONYM = re.compile(r"[A-Za-z0-9 ._+-]{1,64}")
_LONG_STRING = 64
_REFUSALS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomOptions:
    """How DICOM objects are written."""

    made_at: datetime | None = None
    """Date and time of making; now where None. Give one to get the same bytes again."""
    pseudonymise: str | None = None
    """Name and ID in place of the patient's own. Dates, ages, accession number and physician are emptied too. UIDs
    stay, so the object still belongs to its images; whoever holds those can find the patient."""
    series_number: int = 901
    """Number of the new series in the study."""
    series_description: str = "medseg, research use only"
    """Words a viewer lists the series by."""

    def __post_init__(self) -> None:
        if self.pseudonymise is not None and not _PSEUDONYM.fullmatch(self.pseudonymise):
            raise InvalidInputError(
                "DicomOptions: expected a pseudonym of 1-64 letters, digits, spaces and . _ + -, found another one. "
                "Change it."
            )
        if not 1 <= self.series_number < 2**31 or not self.series_description.strip():
            raise InvalidInputError(
                f"DicomOptions: expected a series number of 1 and more and a description, found {self.series_number}, "
                f"{self.series_description!r}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWritten:
    """What was written, for those who refer to it."""

    path: Path | None
    """The file; None where nothing was found, so nothing was written."""
    sop_class_uid: str = ""
    """Kind of object."""
    sop_instance_uid: str = ""
    """Its name."""
    series_instance_uid: str = ""
    """Its series."""
    numbers: tuple[int | None, ...] = ()
    """Segment or ROI number of each finding; None for those left out."""
    notices: tuple[Notice, ...] = ()
    """What was left out or assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """What found the findings."""

    name: str
    version: str
    parameters: tuple[str, ...] = ()
    """As `weights sha256: ...`."""

    @property
    def short_version(self) -> str:
        """The version as far as a DICOM long string holds it."""
        return self.version[:_LONG_STRING]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Findings sorted out for writing."""

    findings: tuple[Finding, ...]
    """All of them."""
    volume: Volume
    """What they are about."""
    algorithm: Algorithm
    """What found them."""
    warnings: tuple[str, ...]
    """Of the result."""
    masks: tuple[Bool[ndarray, "a b c"] | None, ...] = field(repr=False)
    """On the source grid; None for findings that are left out."""
    notices: tuple[Notice, ...]
    """Which were left out, and why."""

    @property
    def kept(self) -> tuple[int, ...]:
        """Places of the findings that have a mask."""
        return tuple(place for place, mask in enumerate(self.masks) if mask is not None)

    def content(self, options: DicomOptions, *more: str) -> tuple[str, ...]:
        """Everything the written object depends on, but for the time."""
        findings = [f"{one.label}|{one.status}|{one.presence!r}|{one.quality!r}" for one in self.findings]
        return (
            *more, self.volume.source.series_uid, *(one.sop_instance_uid for one in self.volume.source.slices),
            *(f"{one.file}/{one.frame}" for one in self.volume.source.slices), *findings,
            hash_of_masks(mask for mask in self.masks if mask is not None), repr(self.algorithm),
            repr((options.pseudonymise, options.series_number, options.series_description)),
            version("highdicom"), version("pydicom"), software_version(),
        )  # fmt: skip


def material(result: SegmentationResult | Sequence[Finding], volume: Volume | None, words: str = "segment") -> Material:
    """Findings with their masks on the source grid; `words` say what a finding becomes.

    Raises:
        InvalidInputError: findings without a volume, or masks on another grid.
    """
    if isinstance(result, SegmentationResult):
        findings, asked = result.findings, volume if volume is not None else result.volume
        algorithm, warnings = _algorithm(result), result.warnings
    else:
        if volume is None:
            raise InvalidInputError("DICOM output: expected the volume of these findings, found none. Give it too.")
        findings, asked, warnings = tuple(result), volume, ()
        algorithm = Algorithm(name="medseg", version=software_version())
    masks: list[Bool[ndarray, "a b c"] | None] = []
    notices = []
    for finding in findings:
        mask = None if finding.status == "not_found" else to_source_grid(finding.mask, asked)
        if finding.status == "not_found":
            text = f"{finding.label!r} was not found: there is no {words} of it."
            notices.append(Notice(code="not_found", text=text))
        elif mask is not None and not mask.any():
            text = f"{finding.label!r} has no voxel on the grid of the files: there is no {words} of it."
            notices.append(Notice(code="empty_mask", text=text))
            mask = None
        masks.append(mask)
    return Material(
        findings=tuple(findings), volume=asked, algorithm=algorithm, warnings=warnings, masks=tuple(masks),
        notices=tuple(notices),
    )  # fmt: skip


def software_version() -> str:
    """Version of the toolkit."""
    return version("vision3d-medseg")


def nothing_found(found: Material, what: str) -> DicomWritten:
    """What a writer returns when no finding has a mask: no file is written."""
    text = f"Nothing was found: no {what} was written."
    notices = (*found.notices, Notice(code="nothing_written", text=text))
    return DicomWritten(path=None, numbers=tuple(None for _ in found.findings), notices=notices)


def short_text(text: str, most: int = _LONG_STRING) -> str:
    """Text that a DICOM string may hold: no backslash, no control character, at most `most` characters.

    Example:
        >>> short_text("left\\\\right lung\\n")
        'left/right lung'
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text.replace("\\", "/")).strip()
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def moment(options: DicomOptions) -> datetime:
    """When the object is made, whole seconds."""
    return (options.made_at or datetime.now()).replace(microsecond=0)


def finish(written: Dataset, images: SourceImages, options: DicomOptions, made: datetime) -> None:
    """Put in what all objects share: the patient and the study, the times, the research notice."""
    for name in IDENTITY:
        if name in written:
            del written[name]
    empty = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
             "AccessionNumber", "ReferringPhysicianName")  # fmt: skip
    for name in empty:
        setattr(written, name, None)
    if options.pseudonymise is None:
        for element in images.identity:
            written[element.tag] = element
    else:
        written.PatientName = written.PatientID = options.pseudonymise
        written.PatientIdentityRemoved = "YES"
        written.DeidentificationMethod = "Name and ID replaced, dates emptied, UIDs kept"
        if "ContainerIdentifier" in written:
            written.ContainerIdentifier = options.pseudonymise
    written.SpecificCharacterSet = "ISO_IR 192"
    for kind in ("InstanceCreation", "Series", *(["Content"] if "ContentDate" in written else [])):
        setattr(written, f"{kind}Date", made.strftime("%Y%m%d"))
        setattr(written, f"{kind}Time", made.strftime("%H%M%S"))
    for equipment in written.get("ContributingEquipmentSequence") or ():
        equipment.ContributionDateTime = made.strftime("%Y%m%d%H%M%S")
    written.SeriesDescription = short_text(options.series_description)


def fix_dimension_uid(written: Dataset, *content: str) -> None:
    """Replace the random UID of a multi-frame object's dimensions by one of its content."""
    name = uid_of("dimensions", *content)
    for items in (written.get("DimensionOrganizationSequence"), written.get("DimensionIndexSequence")):
        for item in items or ():
            item.DimensionOrganizationUID = name


def save(path: Path, written: Dataset) -> None:
    """Write the object as a DICOM file, whole or not at all."""
    with written_whole(path) as partial:
        dcmwrite(partial, written, enforce_file_format=True)


@contextmanager
def building(what: str) -> Iterator[None]:
    """Let another library build `what`; what it refuses becomes an error of ours, and it logs nothing meanwhile.

    Raises:
        InvalidInputError: it refused the images.
    """
    try:
        with quiet_parsers():
            yield
    except _REFUSALS as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            f"{what}: expected source images that the DICOM standard allows one for, found others "
            f"({type(error).__name__}). Write NIfTI instead."
        ) from error


def _algorithm(result: SegmentationResult) -> Algorithm:
    record = result.provenance
    parameters = [f"weights sha256: {record.weights_sha256}"] if record.weights_sha256 else []
    parameters += [f"{name}: {value:g}" for name, value in sorted(record.thresholds.items())]
    parameters += [f"{name}: {value}" for name, value in sorted(record.versions.items())]
    return Algorithm(
        name=short_text(record.segmenter), version=software_version(), parameters=tuple(map(short_text, parameters))
    )


RESEARCH_TEXT = RESEARCH_USE
"""Stands in every object."""


def as_written(path: Path, written: Dataset, found: Material, notices: tuple[Notice, ...]) -> DicomWritten:
    """What a writer tells of an object that numbers its findings from 1; `notices` are those of the source."""
    numbers = {place: number for number, place in enumerate(found.kept, 1)}
    return DicomWritten(
        path=path,
        sop_class_uid=str(written.SOPClassUID),
        sop_instance_uid=str(written.SOPInstanceUID),
        series_instance_uid=str(written.SeriesInstanceUID),
        numbers=tuple(numbers.get(place) for place in range(len(found.findings))),
        notices=(*notices, *found.notices),
    )
