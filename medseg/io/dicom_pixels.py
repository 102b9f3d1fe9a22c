"""Decoded pixels of DICOM frames as values: modality rescale per frame, MONOCHROME1 turned over, padding blackened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Num, Shaped
from numpy import ndarray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medseg.errors import SizeLimitError, StudyFileError
from medseg.io.dicom_headers import DicomHead, FrameHead
from medseg.io.dicom_values import count_of, numbers
from medseg.io.limits import ReadLimits
from medseg.io.parser_failures import parsing
from medseg.study.study import Notice

_PIXEL_TAGS = [
    "SOPClassUID", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "ModalityLUTSequence", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData", "PixelData", "FloatPixelData", "DoubleFloatPixelData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
]  # fmt: skip
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_DEFLATED_BYTES = 64 * 2**20
"""Largest deflated file that is read: pydicom unpacks it whole, up to a thousandfold."""


@dataclass(slots=True, kw_only=True)
class DecodedStack:
    """Frames of several files, filled in one by one."""

    values: list[Num[ndarray, "row column *channel"]] = field(default_factory=list)
    """After rescale, in the order asked for."""
    padding: list[Bool[ndarray, "row column"] | None] = field(default_factory=list)
    """Pixels that no detector saw, None where the file names none."""
    codes: set[str] = field(default_factory=set)
    """What was done: `monochrome1`, `palette`, `assumed_syntax`."""


def decode(heads: Sequence[DicomHead], frames: Sequence[FrameHead | None], limits: ReadLimits) -> DecodedStack:
    """Values of frames in the order given, None for a slice of zeros; each file is opened once.

    Raises:
        StudyFileError: pixels are missing, cut, or compressed in a way no installed codec reads.
        SizeLimitError: they would take more memory than allowed.
    """
    wanted = [frame for frame in frames if frame is not None]
    by_file = {head.frames[0].file: head for head in heads}
    first = by_file[wanted[0].file]
    limits.check_voxels((first.columns, first.rows, len(frames), 4), first.bytes_each, first.found.name)
    done: dict[tuple[int, int], tuple[ndarray, ndarray | None]] = {}
    stack = DecodedStack()
    for number in dict.fromkeys(frame.file for frame in wanted):
        head = by_file[number]
        mine = [frame for frame in wanted if frame.file == number]
        with parsing(head.found.name, "DICOM pixels that an installed codec reads"):
            for frame, decoded in _decoded(head, mine, stack.codes):
                done[frame.file, frame.frame] = decoded
    empty = np.zeros_like(done[wanted[0].file, wanted[0].frame][0])
    for frame in frames:
        values, padding = (empty, None) if frame is None else done[frame.file, frame.frame]
        stack.values.append(values)
        stack.padding.append(padding)
    return stack


def decoded_frames(
    head: DicomHead, frames: Sequence[FrameHead]
) -> Iterator[tuple[FrameHead, Num[ndarray, "row column *channel"]]]:
    """Frames of one file with their values, one after the other, so that a long file is never held whole.

    Raises:
        StudyFileError: pixels are missing, cut, or compressed in a way no installed codec reads.
        SizeLimitError: a deflated file is too large.
    """
    with parsing(head.found.name, "DICOM pixels that an installed codec reads"):
        for frame, (values, _) in _decoded(head, frames, set()):
            yield frame, values


def join(stack: DecodedStack) -> tuple[Num[ndarray, "i j k *channel"], list[Notice]]:
    """Slices as one array [column row slice], padding as the smallest value seen; what was done."""
    shapes = {values.shape for values in stack.values}
    if len(shapes) != 1:
        raise StudyFileError(
            f"DICOM series: expected pixels of one size, found {sorted(shapes)}. Export the series again."
        )
    kind = np.result_type(*{values.dtype for values in stack.values})
    together = np.empty((len(stack.values), *stack.values[0].shape), dtype=kind)
    for number, values in enumerate(stack.values):
        together[number] = values
    notices = [Notice(code=code, text=_TEXTS[code]) for code in sorted(stack.codes)]
    padded = sum(int(padding.sum()) for padding in stack.padding if padding is not None)
    if 0 < padded < together.size:
        pairs = zip(stack.values, stack.padding, strict=True)
        measured = [values if padding is None else values[~padding] for values, padding in pairs]
        seen = min(values.min() for values in measured if values.size)
        for slab, padding in zip(together, stack.padding, strict=True):
            if padding is not None:
                slab[padding] = seen
        text = f"{padded} padding pixels lay outside the field of view: they hold the smallest measured value."
        notices.append(Notice(code="padding", text=text))
    return together.transpose(2, 1, 0, *range(3, together.ndim)), notices


_TEXTS = {
    "monochrome1": "Dark meant bright (MONOCHROME1): values were turned over.",
    "palette": "Colours came from the file's palette.",
    "assumed_syntax": "The file does not say how it is encoded: taken as it parses.",
}


def _decoded(
    head: DicomHead, frames: Sequence[FrameHead], codes: set[str]
) -> Iterable[tuple[FrameHead, tuple[ndarray, ndarray | None]]]:
    _refuse_deflated_giants(head)
    dataset = dcmread(head.found.path, force=True, specific_tags=[*_PIXEL_TAGS])
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise StudyFileError(
            f"{head.found.name}: expected pixels, found a header alone. Copy the file again, with its pixels."
        )
    _name_syntax(dataset, codes)
    _check_codec(dataset, head.found.name)
    if "NumberOfFrames" in dataset and count_of(dataset, "NumberOfFrames") is None:
        del dataset.NumberOfFrames
    raw = iter_pixels(dataset, indices=[frame.frame for frame in frames])
    for frame, pixels in zip(frames, raw, strict=True):
        yield frame, (_values(pixels, frame, head, dataset, codes), _padding(pixels, head, dataset))


def _refuse_deflated_giants(head: DicomHead) -> None:
    with head.found.path.open("rb") as file:
        deflated = _DEFLATED in file.read(1024)
    if deflated and head.found.path.stat().st_size > _DEFLATED_BYTES:
        raise SizeLimitError(
            f"{head.found.name}: expected a deflated file of at most {_DEFLATED_BYTES} bytes, found a larger one. "
            "Save it uncompressed."
        )


def _check_codec(dataset: Dataset, name: str) -> None:
    """Raise where the pixels are packed in a way that DICOM knows and no installed package reads."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        known = get_decoder(syntax)
    except NotImplementedError:
        return  # the parser says what it makes of it
    if not known.is_available:
        raise StudyFileError(
            f"{name}: expected pixels that an installed codec reads, found {known.UID.name}. Run: pip "
            "install 'vision3d-medseg[medseg]'"
        )


def _name_syntax(dataset: Dataset, codes: set[str]) -> None:
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and "TransferSyntaxUID" in meta:
        return
    implicit, little = dataset.original_encoding
    dataset.file_meta = meta if meta is not None else FileMetaDataset()
    plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    codes.add("assumed_syntax")


def _values(
    pixels: Shaped[ndarray, "row column *channel"], frame: FrameHead, head: DicomHead, dataset: Dataset, codes: set[str]
) -> Num[ndarray, "row column *channel"]:
    if head.photometric == "PALETTE COLOR" and head.modality != "SEG":
        codes.add("palette")
        coloured = apply_color_lut(pixels, dataset)[..., :3]
        return coloured if coloured.dtype == np.uint8 else (coloured >> 8).astype(np.uint8)
    values = pixels
    if dataset.get("ModalityLUTSequence"):
        values = apply_modality_lut(pixels, dataset)
    elif (frame.slope, frame.intercept) != (1.0, 0.0) and head.samples == 1:
        values = _rescaled(pixels, frame.slope, frame.intercept)
    if head.photometric == "MONOCHROME1":
        codes.add("monochrome1")
        values = _turned_over(values, dataset, frame)
    return np.asarray(values, dtype=values.dtype.newbyteorder("="))


def _rescaled(pixels: Num[ndarray, "row column"], slope: float, intercept: float) -> Num[ndarray, "row column"]:
    if slope == 1.0 and intercept == round(intercept) and pixels.dtype.kind in "iu" and abs(intercept) < 2**20:
        shifted = pixels.astype(np.int64) + int(intercept)
        fits = np.iinfo(np.int16).min <= shifted.min() and shifted.max() <= np.iinfo(np.int16).max
        return shifted.astype(np.int16 if fits else np.int32)
    return (pixels.astype(np.float64) * slope + intercept).astype(np.float32)


def _turned_over(values: Num[ndarray, "row column"], dataset: Dataset, frame: FrameHead) -> Num[ndarray, "row column"]:
    """Values mirrored within the range that the stored bits span, so that all slices are mirrored alike."""
    bits = count_of(dataset, "BitsStored") or 8
    low, high = (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if count_of(dataset, "PixelRepresentation") else (0, 2**bits - 1)
    )
    total = (low + high) * frame.slope + 2 * frame.intercept
    if values.dtype.kind in "iu" and total == round(total):
        turned = int(total) - values.astype(np.int64)
        return turned.astype(values.dtype if turned.min() >= 0 or values.dtype.kind == "i" else np.int32)
    return (total - values.astype(np.float64)).astype(np.float32)


def _padding(pixels: Shaped[ndarray, "row column *channel"], head: DicomHead, dataset: Dataset) -> ndarray | None:
    value = numbers(dataset, "PixelPaddingValue")
    if value is None or head.modality == "SEG" or pixels.ndim != 2:
        return None
    limit = numbers(dataset, "PixelPaddingRangeLimit") or value
    low, high = min(value[0], limit[0]), max(value[0], limit[0])
    mask = (pixels >= low) & (pixels <= high)
    return mask if mask.any() else None
