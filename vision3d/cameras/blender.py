"""Reader of NeRF-synthetic (Blender) scenes: transforms_train.json, with transforms_test.json held out."""

from __future__ import annotations

from pathlib import Path

from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.cameras.transforms_json import frame_records, read_json
from vision3d.cameras.view_records import posed_photos
from vision3d.errors import CameraFileError

_TRAIN = "transforms_train.json"
_TEST = "transforms_test.json"


def read_blender(path: str | Path) -> PosedPhotos:
    """The training views of a Blender scene, and its test views as held out where the file is there.

    Names keep their folder (`train/r_0`), so the splits never collide. Photos keep their alpha.

    Raises:
        CameraFileError: there is no transforms_train.json, or it is damaged.
    """
    folder = Path(path)
    folder = folder.parent if folder.is_file() else folder
    if not (folder / _TRAIN).is_file():
        raise CameraFileError(f"{folder}: expected {_TRAIN}, found none. Point to a NeRF-synthetic scene.")
    records, held_out = [], []
    for name in (_TRAIN, _TEST):
        file = folder / name
        if not file.is_file():
            continue
        found = frame_records(read_json(file), file)
        records += found
        if name == _TEST:
            held_out = [record.name for record in found]
    return posed_photos(records, source="blender", origin=folder, points=None, held_out=held_out)
