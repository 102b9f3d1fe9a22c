"""What parsers throw at broken files, turned into errors of ours without a word of the file in them.

The kinds are written out: an interrupt or a bug of another kind still comes through. Messages of parsers are dropped,
because they quote header values, and their warnings and logs are kept quiet for the same reason.
"""

from __future__ import annotations

import logging
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from PIL import Image
from pydicom.errors import InvalidDicomError

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
    ImageFileError,
    HeaderDataError,
    WrapStructError,
    InvalidDicomError,
    Image.DecompressionBombError,
)
"""Every kind that pydicom, its codecs, nibabel, Pillow, OpenCV and SimpleITK were seen to raise, and their parents."""
_LOGGERS = ("pydicom", "nibabel", "nibabel.global", "PIL", "pylibjpeg", "openjpeg", "libjpeg")


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
    with _quiet():
        try:
            yield
        except MedSegError:
            raise
        except PARSER_FAILURES as error:
            # The traceback would print the parser's own message.
            raise StudyFileError(
                f"{name}: expected {what}, found one that cannot be read ({type(error).__name__}). "
                "Copy it again or leave it out."
            ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
