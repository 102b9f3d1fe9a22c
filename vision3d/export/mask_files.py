"""Masks of a camera path as files: a black and white PNG per selection and view, and one COCO file for all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from vision3d.export.coco_file import CocoAnnotations
from vision3d.export.path_masks import PathMask
from vision3d.laga.query_run import file_stems
from vision3d.rendering.image_files import write_png
from vlm_bridge.atomic_write import write_text_whole

MASK_FOLDER, COCO_NAME = "masks", "masks.json"


def write_masks(
    masks: Iterable[PathMask], folder: Path, *, stems: Mapping[str, str], views: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Write `masks/STEM/VIEW.png` (255 = selected) and `masks.json` into `folder`.

    Args:
        masks: view by view, in the order of `views`.
        folder: where to; it may be missing.
        stems: selection -> name of its folder.
        views: names of all views of the path.

    Returns:
        Selection -> view -> file, relative to `folder`.
    """
    names = dict(zip(views, file_stems([PurePosixPath(view).stem for view in views]), strict=True))
    written: dict[str, dict[str, str]] = {selection: {} for selection in stems}
    annotations = CocoAnnotations(tuple(stems))
    for one in masks:
        for selection, mask in one.masks.items():
            place = f"{MASK_FOLDER}/{stems[selection]}/{names[one.view]}.png"
            write_png(np.where(mask, 255, 0).astype(np.uint8), folder / place)
            written[selection][one.view] = place
            annotations.add(one.view, selection, mask)
    write_text_whole(folder / COCO_NAME, json.dumps(annotations.content) + "\n")
    return written
