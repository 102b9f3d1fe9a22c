"""Rules that the files of a record must keep: pictures and masks are there, binary, of one size, on the right side."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medseg.errors import MedSegError
from medseg.training.records import QARecord, load_mask, load_picture, mask_values

_PAIRED = re.compile(r"\b(lung|kidney|breast|eye|ovary|testis|adrenal gland|femur|humerus|hand|foot|knee|hip)\b")
_FRONTAL = "X-ray"


def file_problems(record: QARecord) -> tuple[dict[str, bool], list[tuple[str, str]]]:
    """Key of each target whose mask can be read -> whether it holds anything; and what is wrong with the files."""
    problems: list[tuple[str, str]] = []
    shape = _shape(record, problems)
    masks: dict[str, Bool[ndarray, "..."]] = {}
    # a file whose single values are targets too is known as a label map, and all of it may be a target
    label_maps = {target.mask.path for target in record.targets.values() if target.mask.value is not None}
    for key, target in record.targets.items():
        try:
            if target.mask.path and target.mask.path not in label_maps:
                problems += _not_binary(key, mask_values(record, target.mask))
            mask = load_mask(record, key)
        except (MedSegError, OSError):
            problems.append(("mask", f"target {key}: expected a mask that can be read, found none"))
            continue
        if shape is not None and mask.shape != shape:
            size = " x ".join(map(str, mask.shape))
            wanted = " x ".join(map(str, shape))
            problems.append(("mask_size", f"target {key}: expected the image's {wanted}, found {size}"))
        masks[key] = mask
    problems += _wrong_sides(record, masks)
    return {key: bool(mask.any()) for key, mask in masks.items()}, problems


def _shape(record: QARecord, problems: list[tuple[str, str]]) -> tuple[int, ...] | None:
    try:
        if record.image.is_volume:
            from medseg.io.read_study import read_study

            return read_study(record.file(record.image.path)).volume.shape
        return load_picture(record).shape[:2]
    except (MedSegError, OSError):
        problems.append(("image", "expected a picture or volume that can be read, found none"))
        return None


def _not_binary(key: str, values: ndarray) -> Iterator[tuple[str, str]]:
    found = np.unique(values)
    if len(found) > 2 or (len(found) == 2 and found[0] != 0):
        yield (
            "mask_binary",
            f"target {key}: expected 0 and one other value, found {len(found)} values; name one of a label map",
        )


def _wrong_sides(record: QARecord, masks: dict[str, Bool[ndarray, "..."]]) -> Iterator[tuple[str, str]]:
    """Pairs of which the patient's left one lies at the patient's right.

    Columns lead to the patient's left in a radiograph as it is hung, or as `axis_codes` says.
    """
    axis, leads_left = _left_axis(record)
    if axis is None:
        return
    for key, target in record.targets.items():
        name = target.label.lower()
        if not name.startswith("left ") or not _PAIRED.search(name):
            continue
        for other, right in record.targets.items():
            if right.label.lower() == f"right {name.removeprefix('left ')}" and key in masks and other in masks:
                at_left, at_right = _centre(masks[key], axis), _centre(masks[other], axis)
                if (at_left < at_right) == leads_left and at_left != at_right:
                    yield (
                        "laterality",
                        f"targets {key} and {other}: expected left and right of the patient, found swapped",
                    )


def _left_axis(record: QARecord) -> tuple[int | None, bool]:
    codes = record.image.axis_codes.upper()
    for axis, code in enumerate(codes):
        if code in "LR":
            return axis, code == "L"
    if record.image.is_volume:
        return 0, False  # volumes are read as RAS+
    return (1, True) if not codes and record.image.modality == _FRONTAL else (None, True)


def _centre(mask: Bool[ndarray, "..."], axis: int) -> float:
    places = np.nonzero(mask)[axis]
    return float(places.mean()) if len(places) else float("nan")
