"""3D-OVS: pictures of classes on some views of a scene, `segmentations/<view>/<class>.png`.

Source: the data set of 3D-OVS (Liu et al. 2023). It has no boxes; here a class has the tight one of its pixels.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from vision3d.errors import ImageFileError, InvalidInputError
from vision3d.evaluation.phrase_truth import PhraseTruth

_LOG = logging.getLogger(__name__)


def read_three_d_ovs(folder: str | Path) -> list[PhraseTruth]:
    """The pairs of one scene, from the folder that holds `segmentations`; by view, then in the order of classes.txt.

    A class without a picture in a view is not annotated there. Pixels above half of a picture's highest value belong
    to the class.

    Raises:
        InvalidInputError: there are no classes, or no picture of any.
        ImageFileError: a picture cannot be read.
    """
    root = Path(folder) / "segmentations"
    classes = _read_classes(root / "classes.txt")
    views = sorted(path for path in root.iterdir() if path.is_dir())
    truths = []
    for view in views:
        for phrase in classes:
            path = view / f"{phrase}.png"
            if path.is_file():
                mask = _read_mask(path)
                truths.append(PhraseTruth(view_name=view.name, phrase=phrase, mask=mask, boxes=_tight_box(mask)))
    if not truths:
        raise InvalidInputError(
            f"{root}: expected pictures <view>/<class>.png of {', '.join(classes)}, found none in {len(views)} views. "
            "Give the folder of one scene."
        )
    missing = sorted(set(classes) - {truth.phrase for truth in truths})
    if missing:
        _LOG.warning("%s: no view shows %s; these classes are not scored", root, ", ".join(missing))
    return truths


def _read_classes(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"{path}: expected a list of classes, found none that can be read ({error}). Give the folder of one scene."
        ) from error
    classes = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not classes:
        raise InvalidInputError(f"{path}: expected one class per line, found an empty file. Download it again.")
    return classes


def _read_mask(path: Path) -> Tensor:
    try:
        with Image.open(path) as picture:
            grey = np.asarray(picture.convert("L"))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise ImageFileError(
            f"{path}: expected a mask, found a file that is no picture ({error}). Restore it."
        ) from error
    return torch.from_numpy(grey > grey.max() / 2)


def _tight_box(mask: Tensor) -> Tensor:
    row, column = mask.nonzero(as_tuple=True)
    if not len(row):
        return torch.zeros(0, 4)
    return torch.stack([column.min(), row.min(), column.max(), row.max()])[None].float()
