"""The PLY container: what its header says and where each element's rows lie.

Knows nothing of Gaussians. Binary files of either byte order are memory-mapped; ASCII files are parsed. Rows come back
as numpy structured arrays, one field per property.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vision3d.errors import SplatFileError

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"},
    **{"double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float32": "f4", "float64": "f8"},
}
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_HEADER_LIMIT = 1 << 20
_BLOCK_ROWS = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class PlyElement:
    """One element of a PLY header."""

    name: str
    """Element name, e.g. `vertex`."""
    count: int
    """Rows announced."""
    dtype: np.dtype | None
    """Packed row layout in the file's byte order; None where a list makes rows vary in length."""

    @property
    def property_names(self) -> tuple[str, ...]:
        """Names of the scalar properties, in file order."""
        return tuple(self.dtype.names or ()) if self.dtype is not None else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlyLayout:
    """What a PLY header says."""

    path: Path
    """The file."""
    ascii: bool
    """True for text rows, False for binary ones."""
    elements: tuple[PlyElement, ...]
    """Elements in file order."""
    data_offset: int
    """Byte at which the first row starts."""

    def element(self, name: str) -> PlyElement | None:
        """The element called `name`, or None."""
        return next((element for element in self.elements if element.name == name), None)


def read_ply_layout(path: str | Path) -> PlyLayout:
    """The header of a PLY file.

    Raises:
        SplatFileError: missing, empty, not a PLY, or a header that is cut or makes no sense.
    """
    file_path = Path(path)
    try:
        with file_path.open("rb") as file:
            lines, offset = _header_lines(file, file_path)
    except OSError as error:
        raise SplatFileError(f"{file_path}: expected a readable PLY file, found: {error}. Check the path.") from error
    byte_order = None
    blocks: list[tuple[str, int, list[list[str]]]] = []
    for line in lines:
        words = line.split()
        if words[:1] == ["format"] and len(words) == 3:
            byte_order = words[1]
        elif words[:1] == ["element"] and len(words) == 3 and words[2].isdigit():
            blocks.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"] and len(words) >= 3 and blocks:
            blocks[-1][2].append(words[1:])
        elif words and words[0] not in ("ply", "comment", "obj_info"):
            raise SplatFileError(f"{file_path}: expected a PLY header line, found {line[:60]!r}. The file is damaged.")
    if byte_order not in _BYTE_ORDERS:
        raise SplatFileError(
            f"{file_path}: expected a format of {', '.join(_BYTE_ORDERS)}, found {byte_order!r}. Write the file again."
        )
    order = _BYTE_ORDERS[byte_order]
    elements = tuple(
        PlyElement(name=name, count=count, dtype=_row_dtype(properties, order, f"{file_path}, element {name}"))
        for name, count, properties in blocks
    )
    return PlyLayout(path=file_path, ascii=byte_order == "ascii", elements=elements, data_offset=offset)


def read_rows(layout: PlyLayout, name: str) -> np.ndarray:
    """The rows of element `name`: a memory map for binary files, an array for ASCII ones.

    Raises:
        SplatFileError: the element is absent, lies behind rows of varying length, or the file is cut.
    """
    offset, skipped_rows = layout.data_offset, 0
    for element in layout.elements:
        if element.dtype is None:
            break
        if element.name == name:
            if layout.ascii:
                return _ascii_rows(layout, element, skipped_rows)
            return _binary_rows(layout, element, offset)
        offset += element.count * element.dtype.itemsize
        skipped_rows += element.count
    found = ", ".join(element.name for element in layout.elements) or "none"
    raise SplatFileError(
        f"{layout.path}: expected an element {name!r} of plain properties before any list, found elements: {found}. "
        "Export the scene again as a Gaussian PLY."
    )


def gather_columns(rows: np.ndarray, groups: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """For each group of property names a float32 array [row property], read in one pass over the file."""
    columns = {group: np.empty((len(rows), len(names)), np.float32) for group, names in groups.items()}
    with np.errstate(over="ignore"):
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = rows[start : start + _BLOCK_ROWS]
            for group, names in groups.items():
                for column, name in enumerate(names):
                    columns[group][start : start + _BLOCK_ROWS, column] = block[name]
    return columns


def _header_lines(file: BinaryIO, path: Path) -> tuple[list[str], int]:
    first = file.readline(16)
    if not first:
        raise SplatFileError(f"{path}: expected a PLY file, found 0 bytes. Copy or export it again.")
    if first.strip() != b"ply":
        raise SplatFileError(
            f"{path}: expected a file that starts with 'ply', found {first[:8]!r}. "
            "It is another format or damaged; check where it came from."
        )
    lines: list[str] = []
    while file.tell() < _HEADER_LIMIT:
        raw = file.readline(4096)
        line = raw.decode("utf-8", "replace").strip()
        if line == "end_header":
            return lines, file.tell()
        if not raw.endswith(b"\n"):
            break
        lines.append(line)
    raise SplatFileError(
        f"{path}: expected 'end_header' to close the PLY header, found none in {file.tell()} bytes. "
        "The file is cut or damaged; copy it again."
    )


def _row_dtype(properties: list[list[str]], order: str, origin: str) -> np.dtype | None:
    if any(words[0] == "list" for words in properties):
        return None
    unknown = [words[0] for words in properties if words[0] not in _TYPES]
    names = [words[1] for words in properties]
    if unknown or len(set(names)) != len(names):
        what = f"the type {unknown[0]!r}" if unknown else "one property name twice"
        raise SplatFileError(f"{origin}: expected uniquely named PLY properties of known types, found {what}.")
    return np.dtype([(words[1], order + _TYPES[words[0]]) for words in properties])


def _binary_rows(layout: PlyLayout, element: PlyElement, offset: int) -> np.ndarray:
    found = layout.path.stat().st_size
    dtype = element.dtype or np.dtype([])
    expected = offset + element.count * dtype.itemsize
    if found < expected:
        raise SplatFileError(
            f"{layout.path}: expected at least {expected} bytes for {element.count} rows of {element.name!r}, found "
            f"{found}. The file is cut; copy or download it again."
        )
    if element.count == 0 or dtype.itemsize == 0:
        return np.empty(element.count, dtype)
    return np.memmap(layout.path, dtype=dtype, mode="r", offset=offset, shape=(element.count,))


def _ascii_rows(layout: PlyLayout, element: PlyElement, skipped_rows: int) -> np.ndarray:
    rows = np.empty(element.count, element.dtype or np.dtype([]))
    if element.count == 0:
        return rows
    with layout.path.open("rb") as file:
        file.seek(layout.data_offset)
        for _ in range(skipped_rows):
            file.readline()
        lines = [line for _ in range(element.count) if (line := file.readline().strip())]
    try:
        table = np.loadtxt(lines, dtype=np.float64, ndmin=2, comments=None) if lines else np.empty((0, 0))
    except ValueError as error:
        raise SplatFileError(
            f"{layout.path}: expected {len(element.property_names)} numbers in every row of {element.name!r}, found a "
            f"row without: {error}. The file is damaged."
        ) from error
    if table.shape != (element.count, len(element.property_names)):
        raise SplatFileError(
            f"{layout.path}: expected {element.count} rows of {len(element.property_names)} numbers for "
            f"{element.name!r}, found {table.shape[0]} rows of {table.shape[1]}. The file is cut; copy it again."
        )
    for column, name in enumerate(element.property_names):
        rows[name] = table[:, column]
    return rows
