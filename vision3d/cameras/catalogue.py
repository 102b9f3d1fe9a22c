"""The camera formats by name, and the choice between them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from vision3d.cameras.blender import read_blender
from vision3d.cameras.colmap import find_model_folder, read_colmap
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.cameras.transforms_json import read_transforms
from vision3d.errors import CameraFileError, InvalidInputError

_log = logging.getLogger(__name__)

READERS: dict[str, Callable[[Path], PosedPhotos]] = {
    "transforms": read_transforms,
    "blender": read_blender,
    "colmap": read_colmap,
}
"""Name of a camera format -> its reader."""


def detect_formats(path: str | Path) -> tuple[str, ...]:
    """Names of the formats found at `path`, the preferred one first."""
    root = Path(path)
    if root.is_file():
        if root.suffix.lower() != ".json":
            return ("colmap",) if find_model_folder(root.parent) == root.parent else ()
        return ("blender",) if root.name == "transforms_train.json" else ("transforms",)
    found = []
    if (root / "transforms_train.json").is_file() and not (root / "transforms.json").is_file():
        found.append("blender")
    elif list(root.glob("transforms*.json")):
        found.append("transforms")
    if find_model_folder(root) is not None:
        found.append("colmap")
    return tuple(found)


def read_posed_photos(path: str | Path, *, camera_format: str = "auto") -> PosedPhotos:
    """The posed photos of a scene folder or camera file.

    Args:
        path: a folder with transforms.json, transforms_train.json or a COLMAP model, or one of these directly.
        camera_format: `auto`, or one of READERS where a folder holds several.

    Raises:
        CameraFileError: nothing readable was found, or the file found is damaged.
        InvalidInputError: the format is unknown.
    """
    root = Path(path)
    if camera_format != "auto" and camera_format not in READERS:
        raise InvalidInputError(
            f"Expected a camera format of {['auto', *READERS]}, found {camera_format!r}. Choose one of these."
        )
    if not root.exists():
        raise CameraFileError(f"{root}: expected a scene folder or camera file, found nothing there. Check the path.")
    found = detect_formats(root) if camera_format == "auto" else (camera_format,)
    if not found:
        raise CameraFileError(
            f"{root}: expected transforms.json, transforms_train.json or a COLMAP model (cameras.bin or .txt here, in "
            "sparse/0, sparse or sparse_N/0), found "
            f"{sorted(item.name for item in root.iterdir())[:8] if root.is_dir() else 'a file of another kind'}. "
            "Run COLMAP or ns-process-data on the photos first."
        )
    chosen, *others = found
    if others:
        _log.info("%s holds %s cameras beside %s; reading %s (camera_format chooses)", root, others, chosen, chosen)
    return READERS[chosen](root)
