"""COLMAP scenes: a sparse model (text or binary) beside a folder of photos."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from vision3d.cameras.colmap_binary import read_binary_model, write_binary_model
from vision3d.cameras.colmap_model import ColmapCamera, ColmapImage, ColmapModel, lens_of, pose_of
from vision3d.cameras.colmap_text import read_text_model, write_text_model
from vision3d.cameras.photo_files import photo_size
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.cameras.view_records import ViewRecord, posed_photos
from vision3d.errors import CameraFileError, ImageFileError, InvalidInputError
from vlm_bridge.atomic_write import written_whole

_log = logging.getLogger(__name__)
_SUFFIXES = (".bin", ".txt")


def find_model_folder(path: Path) -> Path | None:
    """The folder that holds cameras.bin or cameras.txt: `path` itself, or the usual places below it."""
    numbered = sorted(path.glob("sparse_*"))
    candidates = [path, path / "0", path / "sparse" / "0", path / "sparse", path / "colmap" / "sparse" / "0"]
    candidates += [folder / "0" for folder in numbered] + numbered
    for folder in candidates:
        if any((folder / f"cameras{suffix}").is_file() for suffix in _SUFFIXES):
            return folder
    return None


def read_colmap(path: str | Path) -> PosedPhotos:
    """The views of a COLMAP scene: a scene folder with `sparse/0` and `images`, the model folder, or a file in it.

    Of several photo folders the one whose photos have the size of the cameras is taken; for a model in `sparse_N`
    `images_N` (N times reduced) is asked first. The log names the choice.

    Raises:
        CameraFileError: no model or no photo folder was found, or a file is cut or of an unknown camera model.

    Source: COLMAP's documentation of its output format.
    """
    root = Path(path)
    root = root.parent if root.is_file() else root
    folder = find_model_folder(root)
    if folder is None:
        raise CameraFileError(
            f"{root}: expected a COLMAP model (cameras.bin or cameras.txt in it, in sparse/0 or sparse), found none. "
            "Run COLMAP's mapper, or point to the model."
        )
    binary = (folder / "cameras.bin").is_file()
    model = read_binary_model(folder) if binary else read_text_model(folder)
    if not model.images:
        raise CameraFileError(
            f"{folder}: expected at least one posed image, found none. COLMAP registered no photo; map the scene again."
        )
    image_folder = _image_folder(root, folder, model)
    records = [_record(image, model, folder, image_folder) for image in model.images]
    return posed_photos(records, source="colmap", origin=folder, points=model.points)


def write_colmap_model(folder: str | Path, posed: PosedPhotos, *, binary: bool = True) -> None:
    """Write the views and points of `posed` as a COLMAP model with one OPENCV camera per view.

    Raises:
        InvalidInputError: `folder` is a file, or holds a model of the other kind, which readers would mix up.
    """
    target = Path(folder)
    other = target / ("cameras.txt" if binary else "cameras.bin")
    if (target.exists() and not target.is_dir()) or other.exists():
        raise InvalidInputError(
            f"{target}: expected a folder free for a {'binary' if binary else 'text'} model, found "
            f"{other.name if other.exists() else 'a file'}. Choose another folder."
        )
    model = _model_of(posed)
    content: dict[str, bytes] = (
        write_binary_model(model)
        if binary
        else {name: text.encode("utf-8") for name, text in write_text_model(model).items()}
    )
    with ExitStack() as all_written:
        for name, data in content.items():
            all_written.enter_context(written_whole(target / name)).write_bytes(data)


def _record(image: ColmapImage, model: ColmapModel, folder: Path, image_folder: Path) -> ViewRecord:
    camera = model.cameras.get(image.camera_id)
    if camera is None:
        raise CameraFileError(
            f"{folder}: expected camera {image.camera_id} of image {image.name!r} in the cameras table, found "
            f"{sorted(model.cameras)[:5]}. Export the model again."
        )
    intrinsics, distortion = lens_of(camera, folder)
    return ViewRecord(
        name=image.name,
        image_path=image_folder / image.name,
        world_to_camera=pose_of(image, folder),
        intrinsics=intrinsics,
        distortion=distortion,
        size=(camera.width, camera.height),
    )


def _image_folder(root: Path, folder: Path, model: ColmapModel) -> Path:
    """Of the folders that hold photos of the model, the first with photos of the camera's size, or else the first."""
    parts = folder.absolute().parts
    numbers = [match.group(1) for part in parts[-2:] if (match := re.fullmatch(r"sparse_(\d+)", part))]
    scene = root if (root / "images").is_dir() or list(root.glob("images_*")) else _scene_root(folder.absolute())
    candidates = [scene / f"images_{number}" for number in numbers]
    candidates += [scene / "images", *sorted(scene.glob("images_*")), scene]
    holding = [item for item in candidates if any((item / image.name).is_file() for image in model.images)]
    if not holding:
        raise CameraFileError(
            f"{scene}: expected the photos of the model ({[image.name for image in model.images[:3]]}...) in one of "
            f"{[item.name for item in candidates]}, found none. Put the photos into {scene / 'images'}."
        )
    agreeing = [item for item in holding if _sizes_agree(item, model)]
    chosen = (agreeing or holding)[0]
    _log.info(
        "COLMAP model %s with the photos in %s (%s)",
        folder,
        chosen,
        "of the size of its cameras" if agreeing else "of another size than its cameras",
    )
    return chosen


def _sizes_agree(image_folder: Path, model: ColmapModel) -> bool:
    """Whether the first photo found there is as large as its camera says."""
    first = next(image for image in model.images if (image_folder / image.name).is_file())
    camera = model.cameras.get(first.camera_id)
    try:
        return camera is not None and photo_size(image_folder / first.name) == (camera.width, camera.height)
    except ImageFileError:  # said when the photo is loaded
        return False


def _scene_root(folder: Path) -> Path:
    for parent in (folder, *folder.parents[:3]):
        if (parent / "images").is_dir() or list(parent.glob("images_*")):
            return parent
    return folder


def _model_of(posed: PosedPhotos) -> ColmapModel:
    cameras, images = {}, []
    for row, name in enumerate(posed.cameras.names):
        width, height = posed.cameras.image_sizes[row].tolist()
        matrix = posed.cameras.intrinsics[row].double()
        lens = [float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2])]
        lens += posed.distortion[row].double().tolist()
        cameras[row + 1] = ColmapCamera(model="OPENCV", width=width, height=height, parameters=tuple(lens))
        pose = posed.cameras.world_to_camera[row].double().numpy()
        images.append(
            ColmapImage(name=name, camera_id=row + 1, quat=_quat(pose[:3, :3]), translation=pose[:3, 3].copy())
        )
    return ColmapModel(cameras=cameras, images=tuple(images), points=posed.points)


def _quat(rotation: np.ndarray) -> np.ndarray:
    """Unit quaternion w, x, y, z: the eigenvector of the largest eigenvalue (Bar-Itzhack, 2000)."""
    r = rotation
    matrix = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    _, vectors = np.linalg.eigh(matrix)
    x, y, z, w = vectors[:, -1]
    return np.array([w, x, y, z]) * (1.0 if w >= 0 else -1.0)
