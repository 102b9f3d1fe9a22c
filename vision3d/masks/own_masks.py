"""`read_own_masks`: masks people already have, from a folder with one file per photo or one for all.

Recognised by what lies there:

- LangSplat and OpenGaussian: `NAME_s.npy`, [4 height width], numbers running on over the levels, -1 = none.
- COCO: `.json` files with images and annotations, polygons or run lengths; smaller masks lie over larger ones.
- Instance pictures: `NAME.png` of grey or palette values, 0 = none; sub-folders s, m, l are levels.

Photos are found by the stem of their name. Nothing in a file is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int16, Integer
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from vision3d.errors import InvalidInputError
from vision3d.masks.coco_masks import coco_labels
from vision3d.masks.view_masks import ViewMasks
from vlm_bridge.file_hashes import file_sha256

LANGSPLAT_SUFFIX = "_s.npy"
LANGSPLAT_LEVELS = ("default", "s", "m", "l")
LEVELS = ("s", "m", "l")
ONE_LEVEL = ("object",)
"""What the level is called where a folder has one."""
_GREY_MODES = {"1", "L", "P", "I", "I;16", "I;16B", "I;16L"}
_MOST_MASKS = int(np.iinfo(np.int16).max)
_READ = {".npy", ".json", ".png"}
_SAME_ASPECT = 0.02


def read_own_masks(folder: Path, names: Sequence[str], size: tuple[int, int]) -> ViewMasks:
    """Masks of the named photos, in the size of the photos as they are used.

    Args:
        folder: with masks in one of the layouts above.
        names: names of the photos.
        size: width and height; masks of another size but the same shape are brought to it, nearest pixel.

    Raises:
        InvalidInputError: the folder has none of the layouts, lacks a photo, or a file is unreadable or of another
            shape.
    """
    if any(folder.glob(f"*{LANGSPLAT_SUFFIX}")):
        levels, maps = LEVELS, [read_langsplat(_file(folder, name, LANGSPLAT_SUFFIX), size)[0] for name in names]
    elif any(folder.glob("*.json")):
        levels, maps = ONE_LEVEL, _coco(folder, names, size)
    elif any((folder / level).is_dir() for level in LEVELS):
        levels = tuple(level for level in LEVELS if (folder / level).is_dir())
        maps = [np.stack([_picture(_file(folder / level, name, ".png"), size) for level in levels]) for name in names]
    elif any(folder.glob("*.png")):
        levels, maps = ONE_LEVEL, [_picture(_file(folder, name, ".png"), size)[None] for name in names]
    else:
        raise InvalidInputError(
            f"{folder}: expected masks as NAME_s.npy, COCO .json, NAME.png or s/NAME.png, found none of them. "
            "Put one file per photo there, named like the photo."
        )
    labels = np.stack(maps) if maps else np.zeros((0, len(levels), size[1], size[0]), np.int16)
    return ViewMasks(labels=labels, view_names=tuple(names), level_names=levels, source=f"own masks/{_digest(folder)}")


def read_langsplat(
    path: Path, size: tuple[int, int]
) -> tuple[Int16[ndarray, "3 height width"], tuple[Integer[ndarray, " mask"], ...]]:
    """Label maps of the levels s, m, l of one `NAME_s.npy`, and for each level the file's number of each mask.

    These numbers are rows of `NAME_f.npy`. Masks that the new size leaves no pixel of have no number here.

    Raises:
        InvalidInputError: the file is unreadable or holds something else.
    """
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInputError(
            f"{path}: expected an array of numbers, found a file that is none ({error}). Write it with numpy.save."
        ) from error
    if stored.ndim != 3 or len(stored) != len(LANGSPLAT_LEVELS) or not np.issubdtype(stored.dtype, np.number):
        raise InvalidInputError(
            f"{path}: expected numbers [4 height width] for the levels {', '.join(LANGSPLAT_LEVELS)}, found "
            f"{stored.dtype} {stored.shape}. Give the output of LangSplat's pre-processing."
        )
    levels = [_labels(_resized(np.asarray(stored[level]), size, path), path, none=-1) for level in (1, 2, 3)]
    return np.stack([labels for labels, _ in levels]), tuple(numbers for _, numbers in levels)


def _picture(path: Path, size: tuple[int, int]) -> Int16[ndarray, "height width"]:
    try:
        with Image.open(path) as picture:
            mode, values = picture.mode, np.asarray(picture)
    except (OSError, UnidentifiedImageError) as error:
        raise InvalidInputError(
            f"{path}: expected a picture of mask numbers, found a file that does not open ({error}). Write it again."
        ) from error
    if mode not in _GREY_MODES:
        raise InvalidInputError(
            f"{path}: expected one number per pixel (grey of 8 or 16 bits, or a palette), found a picture of mode "
            f"{mode}. Save mask numbers, not colours."
        )
    return _labels(_resized(values.astype(np.int64), size, path), path, none=0)[0]


def _coco(folder: Path, names: Sequence[str], size: tuple[int, int]) -> list[Int16[ndarray, "1 height width"]]:
    by_stem: dict[str, ndarray] = {}
    wanted = {Path(name).stem for name in names}
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"{path}: expected JSON, found none ({error}). Write the file again.") from error
        for name, labels in coco_labels(content, path, wanted).items():
            by_stem[name] = _labels(_resized(labels, size, path), path, none=-1)[0]
    missing = [name for name in names if Path(name).stem not in by_stem]
    if missing:
        raise InvalidInputError(
            f"{folder}: expected masks of {len(names)} photos, found none of {len(missing)}: {', '.join(missing[:5])}. "
            "Add their images and annotations; file_name has to be the photo's."
        )
    return [by_stem[Path(name).stem][None] for name in names]


def _labels(
    values: ndarray, path: Path, *, none: int
) -> tuple[Int16[ndarray, "height width"], Integer[ndarray, " mask"]]:
    """Masks numbered from 0, and the number each one had; everything below or at `none` is no mask."""
    numbers, place = np.unique(values.round().astype(np.int64), return_inverse=True)
    kept = numbers > none
    if kept.sum() > _MOST_MASKS:
        raise InvalidInputError(
            f"{path}: expected at most {_MOST_MASKS} masks, found {int(kept.sum())}. Are these mask numbers?"
        )
    rank = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int16)
    return rank[place].reshape(values.shape), numbers[kept]


def _resized(values: ndarray, size: tuple[int, int], path: Path) -> ndarray:
    """The nearest number for each pixel of the new size."""
    width, height = size
    rows, columns = values.shape
    if abs(columns / rows - width / height) > _SAME_ASPECT * width / height:
        raise InvalidInputError(
            f"{path}: expected masks in the shape of the photo, {width} x {height}, found {columns} x {rows}. "
            "Give masks of the whole photo."
        )
    down = ((np.arange(height) + 0.5) * rows / height).astype(int)
    right = ((np.arange(width) + 0.5) * columns / width).astype(int)
    return values[down[:, None], right[None]]


def _file(folder: Path, name: str, suffix: str) -> Path:
    path = folder / f"{Path(name).stem}{suffix}"
    if not path.is_file():
        raise InvalidInputError(
            f"{path}: expected the masks of {name}, found no such file. Add it, or leave the photo out."
        )
    return path


def _digest(folder: Path) -> str:
    """Changes with any of the files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _READ):
        digest.update(f"{path.relative_to(folder)} {file_sha256(path)}\n".encode())
    return digest.hexdigest()[:16]
