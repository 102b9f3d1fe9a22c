"""What parsers throw at broken files, turned into errors of ours without a word of the file in them.

The kinds are written out: an interrupt or a bug of another kind still comes through. Messages of parsers are dropped,
because they quote header values, and their warnings and logs are kept quiet for the same reason.
"""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from xml.parsers.expat import ExpatError

import cv2
from nibabel.arraywriters import WriterError
from nibabel.casting import CastingError, FloatingError
from nibabel.cifti2.cifti2 import Cifti2HeaderError
from nibabel.filebasedimages import ImageFileError
from nibabel.fileholders import FileHolderError
from nibabel.filename_parser import TypesFilenamesError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError, ImageDataError
from nibabel.wrapstruct import WrapStructError
from PIL import Image
from pydicom.errors import BytesLengthException, InvalidDicomError

from medseg.errors import MedSegError, StudyFileError

PARSER_FAILURES: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    ExpatError,
    cv2.error,
    CastingError,
    Cifti2HeaderError,
    FileHolderError,
    FloatingError,
    HeaderDataError,
    HeaderTypeError,
    ImageDataError,
    ImageFileError,
    MGHError,
    TypesFilenamesError,
    WriterError,
    WrapStructError,
    InvalidDicomError,
    BytesLengthException,
    Image.DecompressionBombError,
)
"""Every kind that pydicom, its codecs, nibabel, Pillow, OpenCV and SimpleITK raise for a file, or a parent of it."""
_LOGGERS = (
    "pydicom", "nibabel", "nibabel.global", "PIL", "pylibjpeg", "openjpeg", "libjpeg", "highdicom", "urllib3",
    "urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry",
)  # fmt: skip
"""Loggers whose lines quote headers, values or addresses."""


@contextmanager
def parsing(name: str, what: str) -> Iterator[None]:
    """Run a parser on the file called `name`; `what` says what was expected of it.

    Example:
        >>> from medseg.errors import StudyFileError
        >>> try:
        ...     with parsing("scan.nii", "a NIfTI volume"):
        ...         raise ValueError("Doe^Jane is no number")
        ... except StudyFileError as error:
        ...     print(error)
        scan.nii: expected a NIfTI volume, found one that cannot be read (ValueError). Copy it again or leave it out.

    Raises:
        StudyFileError: the parser failed; errors of ours pass as they are.
    """
    with _QUIET:
        try:
            yield
        except MedSegError:
            raise
        except PARSER_FAILURES as error:
            # The traceback would print the parser's own message.
            closed = isinstance(error, PermissionError)
            advice = "Ask for the right to read it." if closed else "Copy it again or leave it out."
            raise StudyFileError(
                f"{name}: expected {what}, found one that cannot be read ({type(error).__name__}). {advice}"
            ) from None


class _Quiet:
    """Parsers say nothing while at least one thread is inside; afterwards all is as before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._warnings = warnings.catch_warnings()
        self._levels: dict[str, int] = {}

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._warnings = warnings.catch_warnings()
            self._warnings.__enter__()
            warnings.simplefilter("ignore")
            self._levels = {name: logging.getLogger(name).level for name in _LOGGERS}
            for name in _LOGGERS:
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside:
                return
            for name, level in self._levels.items():
                logging.getLogger(name).setLevel(level)
            self._warnings.__exit__(None, None, None)


_QUIET = _Quiet()


def quiet_parsers() -> AbstractContextManager[None]:
    """A block in which foreign parsers and connections log and warn nothing; their errors pass as they are."""
    return _QUIET
