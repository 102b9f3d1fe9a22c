"""Makes data/chest_phantom again: `python -m data.recipes.chest_phantom`, the same bytes each time."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from data.recipes.chest_phantom.phantom import SHAPE, SPACING_MM, chest_phantom
from vlm_bridge.assets import write_manifest_entry

NAME = "chest_phantom"
_OFFSET = -1024


def slice_of(number: int, values: np.ndarray) -> Dataset:
    """One slice as a DICOM dataset; `values` are HU [row column]."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CTImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = _uid(f"slice {number}")
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = map(_uid, ("study", "series", "frame"))
    made.PatientName, made.PatientID = "Phantom^Chest", "PHANTOM"
    for name in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"):
        setattr(made, name, "")
    made.ReferringPhysicianName, made.Manufacturer, made.PositionReferenceIndicator = "", "", ""
    made.ImageType, made.Modality, made.BodyPartExamined = ["DERIVED", "SECONDARY", "AXIAL"], "CT", "CHEST"
    made.StudyDescription = made.SeriesDescription = "chest phantom, computed"
    made.SeriesNumber, made.InstanceNumber, made.AcquisitionNumber = 1, number + 1, 1
    made.BurnedInAnnotation, made.KVP, made.PatientPosition = "NO", "", "HFS"
    corner = [-(count - 1) / 2 * step for count, step in zip(SHAPE, SPACING_MM, strict=True)]
    made.ImagePositionPatient = [round(corner[0], 3), round(corner[1], 3), round(corner[2] + number * SPACING_MM[2], 3)]
    made.ImageOrientationPatient, made.PixelSpacing = [1, 0, 0, 0, 1, 0], [SPACING_MM[1], SPACING_MM[0]]
    made.SliceThickness = SPACING_MM[2]
    made.Rows, made.Columns = values.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, _OFFSET, "HU"
    made.PixelData = np.ascontiguousarray(values - _OFFSET, dtype="<i2").tobytes()
    return made


def write_series(path: Path) -> None:
    """Write the archive of all slices."""
    voxels = chest_phantom()
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(SHAPE[2]):
            content = io.BytesIO()
            slice_of(number, voxels[:, :, number].T).save_as(content, enforce_file_format=True)
            member = zipfile.ZipInfo(f"slice_{number + 1:02d}.dcm", date_time=(2020, 1, 1, 0, 0, 0))
            archive.writestr(member, content.getvalue(), zipfile.ZIP_DEFLATED, 9)


def _uid(what: str) -> str:
    return generate_uid(entropy_srcs=[NAME, what])


def main() -> None:
    """Write the asset and its entry in the manifest."""
    target = Path(__file__).resolve().parents[2] / NAME
    target.mkdir(exist_ok=True)
    write_series(target / "series.zip")
    write_manifest_entry(
        NAME,
        [target / "series.zip"],
        source="Drawn by the recipe: ellipsoids with noise, no person's image.",
        licence="Apache-2.0",
        made_by="python -m data.recipes.chest_phantom",
    )


if __name__ == "__main__":
    main()
