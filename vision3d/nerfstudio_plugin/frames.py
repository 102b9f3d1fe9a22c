"""Cameras and frames between nerfstudio and vision3d.

nerfstudio keeps camera-to-world poses in OpenGL axes (x right, y up, z back), ours are world-to-camera in OpenCV axes.
Both put pixel centres at +0.5.

Three frames matter for splats that were made elsewhere. ns-process-data turns COLMAP's world before it writes
transforms.json, and a data parser moves that file's world once more: original -> camera file -> training. nerfstudio's
`dataparser_transform` leads from the original to training, `applied_transform` from the original to the camera file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataparserOutputs
from nerfstudio.data.dataparsers.nerfstudio_dataparser import Nerfstudio
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.posed_photos import PosedPhotos
from vision3d.cameras.transforms_json import find_transforms, read_json
from vision3d.errors import CameraFileError, InvalidInputError
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.transforms import apply_similarity

VIEW_NAMES = "view_names"
"""Entry in the metadata of `DataparserOutputs` that names the views; others are named by their photos."""
MODELS_FOLDER = "nerfstudio_models"
"""Where nerfstudio keeps the checkpoints of a run."""
_OLD_COLMAP_FOLDER = "colmap/sparse/0"
_OLD_APPLIED = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]]
"""What ns-process-data applied before it wrote so; nerfstudio knows such data sets by the folder."""
_SAME = 1e-6


def camera_batch_of(cameras: Cameras, names: Sequence[str]) -> CameraBatch:
    """nerfstudio's cameras as ours, without their distortion, on the CPU."""
    poses = torch.eye(4, dtype=torch.float64).repeat(len(names), 1, 1)
    poses[:, :3] = cameras.camera_to_worlds.detach().cpu().double()
    poses[:, :, 1:3] *= -1
    sizes = torch.cat([cameras.width, cameras.height], -1).cpu().long()
    return CameraBatch(
        world_to_camera=torch.linalg.inv(poses).float(),
        intrinsics=cameras.get_intrinsics_matrices().cpu().float(),
        image_sizes=sizes,
        names=tuple(names),
    )


def nerfstudio_cameras(cameras: CameraBatch, distortion: Float[Tensor, "view 4"] | None = None) -> Cameras:
    """Our cameras as nerfstudio's, with k1, k2, p1, p2 where they are given."""
    poses = torch.linalg.inv(cameras.world_to_camera.double())
    poses[:, :, 1:3] *= -1
    lens = None
    if distortion is not None:
        lens = torch.zeros(len(cameras), 6)
        lens[:, [0, 1, 4, 5]] = distortion.float()
    focal, centre = cameras.intrinsics.diagonal(dim1=1, dim2=2), cameras.intrinsics[:, :2, 2]
    return Cameras(
        camera_to_worlds=poses[:, :3].float(),
        fx=focal[:, 0].float(),
        fy=focal[:, 1].float(),
        cx=centre[:, 0].float(),
        cy=centre[:, 1].float(),
        width=cameras.image_sizes[:, :1],
        height=cameras.image_sizes[:, 1:],
        distortion_params=lens,
        camera_type=CameraType.PERSPECTIVE,
    )


def view_names_of(outputs: DataparserOutputs) -> tuple[str, ...]:
    """A name per view: what our reader called it, else its photo's file name, else its path where names repeat."""
    if VIEW_NAMES in outputs.metadata:
        return tuple(outputs.metadata[VIEW_NAMES])
    names = tuple(Path(path).name for path in outputs.image_filenames)
    return names if len(set(names)) == len(names) else tuple(str(path) for path in outputs.image_filenames)


def posed_photos_of(outputs: DataparserOutputs) -> PosedPhotos:
    """The views of any of nerfstudio's data parsers, in its training frame.

    Raises:
        InvalidInputError: a lens we have no model for (fisheye, panorama, k3 or k4).
    """
    cameras = outputs.cameras
    lens = torch.zeros(len(outputs.image_filenames), 6)
    if cameras.distortion_params is not None:
        lens = cameras.distortion_params.detach().cpu().float()
    kinds = set(cameras.camera_type.flatten().tolist())
    if kinds - {CameraType.PERSPECTIVE.value} or bool(lens[:, 2:4].any()):
        raise InvalidInputError(
            f"Expected perspective cameras with k1, k2, p1 and p2 alone, found camera types {sorted(kinds)} and k3, k4 "
            f"up to {float(lens[:, 2:4].abs().max()):g}. Undistort the photos first, e.g. with COLMAP."
        )
    return PosedPhotos(
        cameras=camera_batch_of(cameras, view_names_of(outputs)),
        distortion=lens[:, [0, 1, 4, 5]],
        image_paths=tuple(Path(path) for path in outputs.image_filenames),
        points=None,
        held_out=(),
        source="nerfstudio",
    )


def applied_transform_of(data: Path) -> Float[Tensor, "3 4"]:
    """The `applied_transform` of a transforms file, or of the one in a folder: original frame -> camera file.

    Raises:
        CameraFileError: it is no 3x4 matrix.
    """
    file = find_transforms(data)
    found = read_json(file).get("applied_transform")
    if found is None:
        found = _OLD_APPLIED if (file.parent / _OLD_COLMAP_FOLDER).exists() else torch.eye(4)[:3].tolist()
    try:
        applied = torch.tensor(found, dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise CameraFileError(f"{file}: expected numbers in applied_transform, found: {error}. Repair it.") from error
    if applied.shape != (3, 4):
        raise CameraFileError(f"{file}: expected an applied_transform of 3x4, found {tuple(applied.shape)}. Repair it.")
    return applied


def camera_file_frame(parser: DataParser, outputs: DataparserOutputs) -> Float[Tensor, "3 4"]:
    """Original frame -> camera file, for the data that `parser` has read."""
    if VIEW_NAMES in outputs.metadata:
        return outputs.dataparser_transform.double()  # ours moves nothing more
    if isinstance(parser, Nerfstudio):
        return applied_transform_of(parser.config.data)
    return torch.eye(4, dtype=torch.float64)[:3]


def in_training_frame(
    scene: GaussianScene, outputs: DataparserOutputs, frame: Float[Tensor, "3 4"] | None = None
) -> GaussianScene:
    """A scene moved to where the data parser put the cameras.

    Args:
        scene: splats in the original frame, or in another one.
        outputs: what the data parser read.
        frame: original frame -> that of the splats; None where they lie in the original.
    """
    moved, known = torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    moved[:3] = outputs.dataparser_transform.cpu()
    if frame is not None:
        known[:3] = frame
    transform, scale = moved @ torch.linalg.inv(known), float(outputs.dataparser_scale)
    if scale == 1.0 and torch.allclose(transform, torch.eye(4).double(), atol=_SAME, rtol=0):
        return scene
    return apply_similarity(scene, transform[:3], scale)


def nerfstudio_run_of(path: Path) -> Path | None:
    """The nerfstudio run that a path means: its folder, its nerfstudio_models or a checkpoint there; else None."""
    folder = path
    if path.name == MODELS_FOLDER:
        folder = path.parent
    elif path.suffix == ".ckpt":
        folder = path.parent.parent
    return folder if (folder / "config.yml").is_file() and (folder / MODELS_FOLDER).is_dir() else None
