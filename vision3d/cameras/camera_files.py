"""Our own small file of named pinhole cameras (JSON), kept beside a fitted scene so that it can be rendered again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import CameraFileError, InvalidInputError
from vlm_bridge.atomic_write import write_text_whole

_FORMAT = "vision3d-cameras"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCameras:
    """Cameras and which of them were held out."""

    cameras: CameraBatch
    """All views."""
    test: tuple[str, ...]
    """Names of the held-out views."""


def save_cameras(stored: StoredCameras, path: str | Path) -> None:
    """Write the cameras as JSON; matrices keep their float32 values exactly."""
    cameras = stored.cameras
    views = [
        {
            "name": name,
            "width": int(cameras.image_sizes[row, 0]),
            "height": int(cameras.image_sizes[row, 1]),
            "world_to_camera": cameras.world_to_camera[row].double().tolist(),
            "intrinsics": cameras.intrinsics[row].double().tolist(),
            "held_out": name in stored.test,
        }
        for row, name in enumerate(cameras.names)
    ]
    content = {"format": _FORMAT, "version": _VERSION, "axes": "OpenCV", "views": views}
    write_text_whole(Path(path), json.dumps(content, indent=1) + "\n")


def load_cameras(path: str | Path) -> StoredCameras:
    """The cameras of a file written by `save_cameras`.

    Raises:
        CameraFileError: the file is missing, of another format or version, or damaged.
    """
    source = Path(path)
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT or content["version"] != _VERSION:
            raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
        views = content["views"]
        cameras = CameraBatch(
            world_to_camera=torch.tensor([view["world_to_camera"] for view in views]).float(),
            intrinsics=torch.tensor([view["intrinsics"] for view in views]).float(),
            image_sizes=torch.tensor([[view["width"], view["height"]] for view in views]),
            names=tuple(view["name"] for view in views),
        )
    except (OSError, ValueError, KeyError, TypeError, InvalidInputError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CameraFileError(
            f"{source}: expected cameras written by vision3d ({_FORMAT} version {_VERSION}), found {found}. "
            "Fit the scene again, or pass the scene's own camera file."
        ) from error
    return StoredCameras(cameras=cameras, test=tuple(view["name"] for view in views if view.get("held_out")))
