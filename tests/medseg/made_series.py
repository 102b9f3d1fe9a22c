"""Small DICOM series written for tests: a named fictional patient, slices of random HU, any geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

PLANTED = "Zyxwvuts^Quorlina"
"""The patient's name: letters that occur in nothing else."""
PLANTED_WORDS = ("Zyxwvuts", "Quorlina", "QZ-778812")


def header(series: str, number: int, rows: int, columns: int) -> Dataset:
    """A CT header without geometry and pixels."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CTImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series, str(number)])
    made.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    made.SeriesInstanceUID = generate_uid(entropy_srcs=[series])
    made.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame"])
    made.PatientName, made.PatientID = PLANTED, "QZ-778812"
    made.ReferringPhysicianName = "Quorlina^Ref"
    made.SeriesDescription = "thorax of Zyxwvuts"
    made.Modality, made.InstanceNumber = "CT", number
    made.Rows, made.Columns = rows, columns
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    return made


def write_slices(
    folder: Path,
    pixels: ndarray,
    positions: Sequence[Sequence[float]],
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    spacing: Sequence[float] = (0.7, 0.9),
    change: Callable[[Dataset, int], None] | None = None,
    series: str = "one",
) -> Path:
    """Write `pixels` [slice row column] as one file per slice, names in random order; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.default_rng(5).permutation(len(pixels))
    for number, (slab, position) in enumerate(zip(pixels, positions, strict=True)):
        made = header(series, number, *slab.shape[:2])
        made.ImagePositionPatient = [float(value) for value in position]
        made.ImageOrientationPatient = [float(value) for value in orientation]
        made.PixelSpacing = [float(value) for value in spacing]
        made.SliceThickness = 2.0
        made.PixelData = np.ascontiguousarray(slab).tobytes()
        if change is not None:
            change(made, number)
        made.save_as(folder / f"{series}{names[number]:03d}.dcm", enforce_file_format=True)
    return folder


def straight_positions(count: int, step: float = 2.0, first: float = -50.0) -> list[tuple[float, float, float]]:
    """Places of axial slices."""
    return [(-10.0, -20.0, first + step * number) for number in range(count)]


def noise(count: int = 5, rows: int = 6, columns: int = 8, seed: int = 0) -> ndarray:
    """Random stored values [slice row column]."""
    return np.random.default_rng(seed).integers(0, 2000, (count, rows, columns), dtype=np.int16)


def write_enhanced(path: Path, pixels: ndarray, positions: Sequence[Sequence[float]], slopes: Sequence[float]) -> Path:
    """Write one multi-frame file whose frames each have a place and a slope of their own."""
    made = header("enhanced", 0, *pixels.shape[1:])
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    del made.RescaleSlope, made.RescaleIntercept
    made.NumberOfFrames = len(pixels)
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.9], 2.0
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([plane])
    made.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for position, slope in zip(positions, slopes, strict=True):
        group, place, values = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [float(value) for value in position]
        values.RescaleSlope, values.RescaleIntercept = slope, -10
        group.PlanePositionSequence, group.PixelValueTransformationSequence = Items([place]), Items([values])
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = Items(groups)
    made.PixelData = pixels.tobytes()
    made.save_as(path, enforce_file_format=True)
    return path
