"""`ReadLimits`: how much a reader may open and allocate, so that a forged header cannot take the machine down."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from medseg.errors import InvalidInputError, SizeLimitError, StudyFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Upper bounds of one input."""

    files: int = 50_000
    """Files of a folder, members of an archive."""
    file_bytes: int = 4 * 2**30
    """Bytes of one file; of one member once unpacked."""
    archive_bytes: int = 16 * 2**30
    """Bytes of all members of an archive once unpacked."""
    voxel_bytes: int = 8 * 2**30
    """Bytes of one decoded volume."""

    def __post_init__(self) -> None:
        if min(self.files, self.file_bytes, self.archive_bytes, self.voxel_bytes) < 1:
            raise InvalidInputError("ReadLimits: expected limits of 1 and more. Raise them.")

    def check_voxels(self, shape: Iterable[int], bytes_each: int, name: str) -> None:
        """Raise where an array of this shape is empty or over the limit.

        Raises:
            StudyFileError: an axis is empty.
            SizeLimitError: it is over the limit.
        """
        sizes = [int(size) for size in shape]
        if not sizes or min(sizes) < 1:
            raise StudyFileError(f"{name}: expected sizes of 1 and more, found {sizes}. Copy the file again.")
        wanted = math.prod(sizes) * bytes_each
        if wanted > self.voxel_bytes:
            raise SizeLimitError(
                f"{name}: expected at most {self.voxel_bytes} bytes of voxels, found a header of {sizes}, "
                f"{wanted} bytes. Check the file, or raise ReadLimits.voxel_bytes."
            )

    def check_file(self, size: int, name: str) -> None:
        """Raise where a file is empty or over the limit.

        Raises:
            StudyFileError: it is empty.
            SizeLimitError: it is over the limit.
        """
        if size == 0:
            raise StudyFileError(f"{name}: expected a study file, found an empty one. Copy it again.")
        if size > self.file_bytes:
            raise SizeLimitError(
                f"{name}: expected at most {self.file_bytes} bytes, found {size}. Raise ReadLimits.file_bytes."
            )
