"""The few errors of medseg a caller may act on.

Every message says three things: what was expected, what was found (file name, slice, number) and what to do. No message
quotes the text of a file's header, nor that of a parser's own error: both may hold a patient's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class MedSegError(Exception):
    """Root of every error medseg raises on purpose."""


class InvalidInputError(MedSegError, ValueError):
    """A value given by the caller is out of range, of the wrong shape, or contradicts another one."""


class StudyFileError(MedSegError):
    """A file of a study is missing, cut, of a format that is not read, or holds no image."""


class GeometryError(StudyFileError):
    """Where the voxels lie cannot be trusted: missing or doubled slices, uneven gaps, an impossible affine."""


class SeriesChoiceError(MedSegError):
    """Several series were found and none was named, or the named one is not there; the message lists them."""


class SizeLimitError(StudyFileError):
    """A file asks for more memory, members or pixels than the limits of the reader allow."""


class MissingExtraError(MedSegError, ImportError):
    """A package of an optional extra is not installed; the message names the line that installs it."""


class DicomwebError(MedSegError):
    """A DICOMweb server cannot be reached, refuses, holds no such study, or answers in another way than it should."""


class PartialStoreError(DicomwebError):
    """A DICOMweb server took some instances or none; the message lists those it did not take, by their number."""

    def __init__(self, message: str, stored: Sequence[str], failed: Mapping[int, str]) -> None:
        super().__init__(message)
        self.stored = tuple(stored)
        """SOP Instance UIDs that the server took."""
        self.failed = dict(failed)
        """Place of each other path in the call, from 0 -> why it was not taken."""

    def __reduce__(self) -> tuple[type[PartialStoreError], tuple[str, tuple[str, ...], dict[int, str]]]:
        return type(self), (str(self), self.stored, self.failed)


class SegmenterError(MedSegError):
    """A segmenter's answer contradicts itself or the volume: masks of another grid, a span outside its text."""


class RecordError(MedSegError):
    """A MedSeg-QA record, its picture or a mask of it cannot be read, or a file to import is not of its format."""


class BatchFolderError(MedSegError):
    """The output folder of a batch cannot be used: not writable, full, damaged, or in use by another process."""


class AuditLogError(MedSegError):
    """An audit log cannot be read or written, or its chain is broken; the message names the line."""


class CheckpointError(MedSegError):
    """A folder holds no model of this package, a damaged one, or one that was trained in another way."""
