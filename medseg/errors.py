"""The few errors of medseg a caller may act on.

Every message says three things: what was expected, what was found (file name, slice, number) and what to do. No message
quotes the text of a file's header, nor that of a parser's own error: both may hold a patient's name.
"""


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
