"""Small scenes on disk for the tests of this room: gradient photos under cameras whose numbers are known."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.point_cloud import PointCloud
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.errors import Vision3DError

WIDTH, HEIGHT = 32, 24
IDENTITY = np.eye(4).tolist()


@contextmanager
def refused(kind: type[Vision3DError], *named: str) -> Iterator[None]:
    """The block raises exactly `kind`, says what was expected and what was found, and names every one of `named`."""
    with pytest.raises(kind) as caught:
        yield
    message = str(caught.value)
    assert caught.type is kind
    assert "expected" in message.lower()
    assert "found" in message
    for part in named:
        assert part in message, f"{part!r} is not in: {message}"


def gradient(width: int = WIDTH, height: int = HEIGHT, blue: int = 128) -> np.ndarray:
    """RGB bytes that grow to the right in red and downwards in green, so that no flip or turn goes unseen."""
    red = np.linspace(0, 255, width).round()[None, :].repeat(height, 0)
    green = np.linspace(0, 255, height).round()[:, None].repeat(width, 1)
    return np.stack([red, green, np.full_like(red, blue)], -1).astype(np.uint8)


def write_photo(path: Path, pixels: np.ndarray | None = None, **options: Any) -> Path:
    """A photo at `path`, a gradient unless `pixels` are given; its folder is made too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(gradient() if pixels is None else pixels).save(path, **options)
    return path


def frame(file_path: str, pose: Any = IDENTITY, **values: Any) -> dict[str, Any]:
    """One frame of a transforms file."""
    return {"file_path": file_path, "transform_matrix": pose, **values}


def write_transforms(folder: Path, frames: Sequence[Any], name: str = "transforms.json", **shared: Any) -> Path:
    """A transforms file; without `shared` values it states fl_x = 40 at 32x24."""
    folder.mkdir(parents=True, exist_ok=True)
    lens = shared or {"fl_x": 40.0, "w": WIDTH, "h": HEIGHT}
    path = folder / name
    path.write_text(json.dumps({**lens, "frames": list(frames)}, indent=1), encoding="utf-8")
    return path


def write_colmap_text(folder: Path, cameras: Sequence[str], images: Sequence[str], points: Sequence[str] = ()) -> Path:
    """A text model from lines written by hand; `images` holds both lines of each image."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("cameras", cameras), ("images", images), ("points3D", points)):
        (folder / f"{name}.txt").write_text("\n".join([f"# {name}", *lines]) + "\n", encoding="utf-8")
    return folder


def binary_camera(model_id: int, parameters: Sequence[float]) -> bytes:
    """A cameras.bin with camera 1 of 32x24 pixels."""
    return struct.pack(f"<QiiQQ{len(parameters)}d", 1, 1, model_id, WIDTH, HEIGHT, *parameters)


def rotations(count: int, seed: int) -> torch.Tensor:
    """Proper rotations [count 3 3], spread over all directions."""
    generator = torch.Generator().manual_seed(seed)
    found, _ = torch.linalg.qr(torch.randn(count, 3, 3, dtype=torch.float64, generator=generator))
    return found * torch.linalg.det(found)[:, None, None]


def random_cameras(count: int, *, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> CameraBatch:
    """Cameras `0.png`, `1.png`, ... anywhere, with a lens of their own each."""
    generator = torch.Generator().manual_seed(seed)
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    poses[:, :3, :3] = rotations(count, seed)
    poses[:, :3, 3] = torch.randn(count, 3, dtype=torch.float64, generator=generator) * 3
    intrinsics = torch.eye(3).repeat(count, 1, 1)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = 30 + 20 * torch.rand(2, count, generator=generator)
    intrinsics[:, :2, 2] = torch.tensor([width / 2, height / 2]) + torch.randn(count, 2, generator=generator)
    return CameraBatch(
        world_to_camera=poses.float(),
        intrinsics=intrinsics,
        image_sizes=torch.tensor([[width, height]] * count),
        names=tuple(f"{row}.png" for row in range(count)),
    )


def random_points(count: int, seed: int = 0) -> PointCloud:
    """Points whose colours are whole bytes, as files hold them."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(0, 256, (count, 3), generator=generator)
    return PointCloud(
        positions=torch.randn(count, 3, generator=generator) * 10, colours=(levels.double() / 255.0).float()
    )


def posed_scene(
    folder: Path,
    cameras: CameraBatch,
    *,
    distortion: torch.Tensor | None = None,
    points: PointCloud | None = None,
    pixels: Sequence[np.ndarray] | None = None,
) -> PosedPhotos:
    """`cameras` with a photo each in `folder`/images."""
    paths = []
    for row, name in enumerate(cameras.names):
        width, height = cameras.image_sizes[row].tolist()
        paths.append(write_photo(folder / "images" / name, gradient(width, height) if pixels is None else pixels[row]))
    return PosedPhotos(
        cameras=cameras,
        distortion=torch.zeros(len(cameras), 4) if distortion is None else distortion,
        image_paths=tuple(paths),
        points=points,
        held_out=(),
        source="test",
    )


def posed_photo(path: Path, width: int = WIDTH, height: int = HEIGHT, focal: float = 40.0) -> PosedPhotos:
    """One view with the photo at `path` that claims `width` x `height` pixels."""
    camera = CameraBatch(
        world_to_camera=torch.eye(4)[None],
        intrinsics=torch.tensor([[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]]),
        image_sizes=torch.tensor([[width, height]]),
        names=(path.name,),
    )
    return PosedPhotos(
        cameras=camera,
        distortion=torch.zeros(1, 4),
        image_paths=(path,),
        points=None,
        held_out=(),
        source="test",
    )


def draw_dots(centres: np.ndarray, width: int, height: int, sigma: float) -> np.ndarray:
    """White Gaussian dots on black; a centre of (0.5, 0.5) is the middle of the first pixel."""
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    total = np.zeros((height, width))
    for x, y in centres:
        total += np.exp(-((rows[:, None] - y) ** 2 + (columns[None, :] - x) ** 2) / (2 * sigma**2))
    return np.repeat((np.clip(total, 0, 1) * 255).round().astype(np.uint8)[..., None], 3, -1)


def dot_centroid(image: np.ndarray, near: np.ndarray, reach: int) -> np.ndarray:
    """Brightness-weighted mean position within `reach` pixels of `near`."""
    left, top = int(near[0]) - reach, int(near[1]) - reach
    patch = image[top : top + 2 * reach + 1, left : left + 2 * reach + 1, 0].astype(np.float64)
    rows, columns = np.mgrid[: patch.shape[0], : patch.shape[1]] + 0.5
    return np.array([(patch * columns).sum() + left * patch.sum(), (patch * rows).sum() + top * patch.sum()]) / (
        patch.sum()
    )
