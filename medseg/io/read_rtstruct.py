"""`read_rtstruct`: regions of an RT Structure Set as masks on the voxels of a volume."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from medseg.errors import GeometryError, StudyFileError
from medseg.io.contours import fill_polygons
from medseg.io.dicom_values import count_of, numbers, word
from medseg.io.foreign_grids import check_same_patient_space, onto_volume, referenced_images
from medseg.io.foreign_names import code_of, harmless_name
from medseg.io.found_files import found_files
from medseg.io.limits import ReadLimits
from medseg.io.parser_failures import parsing
from medseg.study.affine import LPS_TO_RAS
from medseg.study.labelled_mask import LabelledMask, LabelledMasks
from medseg.study.study import Notice
from medseg.study.volume import Volume

_NAME = "The structure set"
"""What messages call the file."""
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_LEVEL = 0.1
"""Most a contour may leave its plane, in slices, to be filled in it."""
_TEXTS = {
    "contours_without_area": "are points or open lines: they have no area and were left out",
    "contours_not_in_plane": "do not lie in the planes of the slices: they were left out",
    "contours_outside": "lie beyond the first or the last slice: they were left out",
    "contours_between_slices": "lie between two slices: each was drawn on the nearer one",
}


def read_rtstruct(path: Path, volume: Volume, *, limits: ReadLimits | None = None) -> LabelledMasks:
    """Regions as masks on `volume`'s voxels; a voxel is inside where its centre is.

    Contours of one region in one slice are taken even and odd: a contour inside another is a hole, one inside that an
    island. Keyholes and CLOSEDPLANAR_XOR mean the same. Regions without a contour have an empty mask, and slices
    between two contours stay empty where none is drawn on them. What could not be used is counted in the notices.

    Raises:
        StudyFileError: no structure set, or a broken one.
        GeometryError: the volume has no place in the patient, or another frame of reference.
        SizeLimitError: more regions than the limits hold.
    """
    allowed = limits or ReadLimits()
    with found_files(path, allowed) as files, parsing(_NAME, "a DICOM RT structure set"):
        if len(files) != 1:
            raise StudyFileError(f"{_NAME}: expected one RT structure set, found {len(files)} files. Give one.")
        dataset = dcmread(files[0].path, force=True)
        _check_kind(dataset, volume, _NAME)
        allowed.check_voxels((len(dataset.StructureSetROISequence), *volume.source.shape), 1, _NAME)
        _check_place(dataset, volume, _NAME)
        drawn = {count_of(item, "ReferencedROINumber"): item for item in dataset.get("ROIContourSequence") or ()}
        seen = {count_of(item, "ReferencedROINumber"): item for item in dataset.get("RTROIObservationsSequence") or ()}
        troubles: Counter[str] = Counter()
        masks = []
        for place, region in enumerate(dataset.StructureSetROISequence, 1):
            number = count_of(region, "ROINumber")
            item = drawn.get(number)
            masks.append(
                LabelledMask(
                    label=harmless_name(word(region, "ROIName"), dataset, f"region {place}"),
                    number=place if number is None else number,
                    mask=onto_volume(_mask(item, volume, troubles), volume),
                    code=_code(seen.get(number)),
                    colour=_colour(item),
                )
            )
    notices = [Notice(code=code, text=f"{count} contour(s) {_TEXTS[code]}.") for code, count in troubles.items()]
    empty = sum(not one.mask.any() for one in masks)
    if empty:
        notices.append(Notice(code="empty_regions", text=f"{empty} region(s) cover no voxel of the volume."))
    return LabelledMasks(masks=tuple(masks), notices=tuple(notices))


def _check_kind(dataset: Dataset, volume: Volume, name: str) -> None:
    if word(dataset, "Modality") != "RTSTRUCT" or "StructureSetROISequence" not in dataset:
        raise StudyFileError(
            f"{name}: expected a DICOM RT structure set with regions, found another object. Give the RTSTRUCT file."
        )
    if volume.space != "patient":
        raise GeometryError(
            f"{name}: expected a volume with a place in the patient, found a {volume.space} without one. Read the "
            "series that the contours were drawn on."
        )


def _check_place(dataset: Dataset, volume: Volume, name: str) -> None:
    frames = {word(item, "FrameOfReferenceUID") for item in dataset.get("ReferencedFrameOfReferenceSequence") or ()} | {
        word(item, "ReferencedFrameOfReferenceUID") for item in dataset.StructureSetROISequence
    }
    frames.discard("")
    if volume.source.frame_of_reference_uid in frames:
        return
    head = Dataset()
    for keyword in ("ReferencedFrameOfReferenceSequence", "ReferencedStudySequence"):
        if keyword in dataset:
            head[keyword] = dataset[keyword]
    check_same_patient_space(next(iter(frames), ""), _all_images(head, dataset), volume, name)


def _all_images(head: Dataset, dataset: Dataset) -> set[str]:
    found = referenced_images(head)
    for region in dataset.get("ROIContourSequence") or ():
        for contour in region.get("ContourSequence") or ():
            for image in contour.get("ContourImageSequence") or ():
                found.add(word(image, "ReferencedSOPInstanceUID"))
    return found


def _mask(item: Dataset | None, volume: Volume, troubles: Counter[str]) -> Bool[ndarray, "a b c"]:
    mask = np.zeros(volume.source.shape, dtype=bool)
    by_slice: dict[int, list[Float[ndarray, "_point 2"]]] = {}
    lps_to_index = np.linalg.inv(LPS_TO_RAS @ volume.source.voxel_to_ras)
    for contour in (item.get("ContourSequence") or ()) if item is not None else ():
        if word(contour, "ContourGeometricType") not in _CLOSED:
            troubles["contours_without_area"] += 1
            continue
        indices = _points(contour) @ lps_to_index[:3, :3].T + lps_to_index[:3, 3]
        trouble, k = _plane(indices[:, 2], mask.shape[2])
        if trouble:
            troubles[trouble] += 1
        if k is not None:
            by_slice.setdefault(k, []).append(indices[:, :2])
    for k, polygons in by_slice.items():
        mask[:, :, k] = fill_polygons(polygons, (mask.shape[1], mask.shape[0])).T
    return mask


def _plane(heights: Float[ndarray, " point"], slices: int) -> tuple[str, int | None]:
    """What is wrong with a contour's plane, and the slice to draw it on."""
    if np.ptp(heights) > _LEVEL:
        return "contours_not_in_plane", None
    height = float(heights.mean())
    if not -0.5 <= height <= slices - 0.5:
        return "contours_outside", None
    k = min(max(round(height), 0), slices - 1)
    return ("contours_between_slices" if abs(height - k) > _LEVEL else ""), k


def _points(contour: Dataset) -> Float[ndarray, "point 3"]:
    """Points of a contour, LPS mm; read from the raw text, since there may be millions of them."""
    raw = contour.get_item("ContourData")
    if isinstance(raw, RawDataElement) and raw.value is not None:
        values = np.array(bytes(raw.value).decode("ascii").replace("\0", " ").split("\\"), dtype=np.float64)
    else:
        values = np.array(numbers(contour, "ContourData") or (), dtype=np.float64)
    if values.size == 0 or values.size % 3 or not np.isfinite(values).all():
        raise StudyFileError(
            f"RTSTRUCT: expected contours of finite points in threes, found {values.size} numbers. Export it again."
        )
    return values.reshape(-1, 3)


def _code(observation: Dataset | None) -> tuple[str, str, str] | None:
    items = [] if observation is None else observation.get("RTROIIdentificationCodeSequence") or []
    return code_of(items[0]) if items else None


def _colour(item: Dataset | None) -> tuple[int, int, int] | None:
    found = None if item is None else numbers(item, "ROIDisplayColor")
    return None if found is None or len(found) != 3 else (int(found[0]), int(found[1]), int(found[2]))
