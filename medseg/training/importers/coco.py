"""COCO annotations: polygons and run lengths, compressed or not, of the categories in each picture."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from medseg.training.importers.importer import (
    ImportOptions,
    as_runs,
    checked,
    expect,
    opaque,
    painted,
    plain_dialogue,
    read_json,
)
from medseg.training.records import ImageFacts, QARecord, TargetFacts
from medseg.training.run_length import decode_mask


def import_coco(path: Path, options: ImportOptions) -> list[QARecord]:
    """One record per picture with annotations, one target per category: objects of a category are joined.

    Raises:
        RecordError: the file is of another format.
    """
    value = read_json(path)
    right = isinstance(value, dict) and all(
        isinstance(value.get(key), list) and all(isinstance(one, dict) for one in value[key])
        for key in ("images", "annotations", "categories")
    )
    expect(right, str(path), "lists of images, annotations and categories")
    names = {one.get("id"): str(one.get("name")) for one in value["categories"]}
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for one in value["annotations"]:
        expect(one.get("category_id") in names, str(path), "annotations of the listed categories")
        by_image[one.get("image_id")].append(one)
    images = [one for one in value["images"] if by_image[one.get("id")]]
    return [_record(one, by_image[one.get("id")], names, path, options) for one in images]


def _record(
    image: dict[str, Any], annotations: list[dict[str, Any]], names: dict[Any, str], path: Path, options: ImportOptions
) -> QARecord:
    place = f"{path}: image {image.get('id')}"
    size = (image.get("height"), image.get("width"))
    expect(all(type(one) is int and one > 0 for one in size) and bool(image.get("file_name")), place, "size and name")
    masks: dict[str, np.ndarray] = {}
    for one in annotations:
        name = names[one["category_id"]]
        mask = _mask(one.get("segmentation"), (int(size[0] or 0), int(size[1] or 0)), place)
        masks[name] = masks[name] | mask if name in masks else mask
    targets = {
        f"t{number}": TargetFacts(label=name, mask=as_runs(mask))
        for number, (name, mask) in enumerate(masks.items(), 1)
    }
    record = QARecord(
        id=opaque(Path(str(image["file_name"])).stem),
        patient=opaque(str(image.get("patient") or Path(str(image["file_name"])).stem)),
        image=ImageFacts(path=str(image["file_name"]), modality=options.modality, body_part=options.body_part),
        targets=targets,
        conversations=tuple(plain_dialogue(one.label, key) for key, one in targets.items()),
        licence=options.licence,
        qa={"generator": "COCO categories"},
        folder=options.images or path.parent,
    )
    return checked(record, place)


def _mask(segmentation: Any, size: tuple[int, int], place: str) -> np.ndarray:
    if isinstance(segmentation, list):
        return painted(segmentation, size, place)
    expect(isinstance(segmentation, dict), place, "polygons or run lengths")
    own, counts = segmentation.get("size"), segmentation.get("counts")
    expect(own == [size[0], size[1]], place, "run lengths of the picture's size")
    expect(isinstance(counts, str | list), place, "run lengths with counts")
    return decode_mask(counts, size)
