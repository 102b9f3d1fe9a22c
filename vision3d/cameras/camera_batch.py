"""`CameraBatch`: a set of named pinhole cameras.

Convention: OpenCV axes (x right, y down, z forward). `world_to_camera` maps homogeneous world points to camera
points. `intrinsics` are in pixels and pixel centres lie at +0.5, so the image spans [0, width] x [0, height].
Views are found by name, never by index.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vision3d.errors import InvalidInputError, UnknownViewError

_ROTATION_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraBatch:
    """Named pinhole cameras that share one coordinate frame.

    Example:
        >>> cameras = CameraBatch(
        ...     world_to_camera=torch.eye(4)[None],
        ...     intrinsics=torch.tensor([[[100.0, 0, 64], [0, 100.0, 48], [0, 0, 1]]]),
        ...     image_sizes=torch.tensor([[128, 96]]),
        ...     names=("front",),
        ... )
        >>> cameras.index_of("front"), cameras.uniform_size
        (0, (128, 96))
    """

    world_to_camera: Float[Tensor, "view 4 4"]
    """Rigid world-to-camera transforms, world units."""
    intrinsics: Float[Tensor, "view 3 3"]
    """fx, fy, cx, cy in pixels; zero skew."""
    image_sizes: Int[Tensor, "view 2"]
    """Width and height of each view in pixels."""
    names: tuple[str, ...]
    """One unique name per view."""

    def __post_init__(self) -> None:
        count = len(self.names)
        for field_name, shape in (
            ("world_to_camera", (count, 4, 4)),
            ("intrinsics", (count, 3, 3)),
            ("image_sizes", (count, 2)),
        ):
            found = tuple(getattr(self, field_name).shape)
            if found != shape:
                raise InvalidInputError(
                    f"CameraBatch.{field_name}: expected shape {shape} for {count} names, found {found}. "
                    "Give one entry per view."
                )
        _check_names(self.names)
        _check_poses(self.world_to_camera, self.names)
        _check_intrinsics(self.intrinsics, self.image_sizes, self.names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def device(self) -> torch.device:
        """The device the matrices live on."""
        return self.world_to_camera.device

    @property
    def uniform_size(self) -> tuple[int, int]:
        """Width and height shared by all views.

        Raises:
            InvalidInputError: the views differ in size.
        """
        if len(self) == 0:
            raise InvalidInputError("Expected at least one view, found an empty CameraBatch. Select some views first.")
        sizes = {tuple(size) for size in self.image_sizes.tolist()}
        if len(sizes) != 1:
            raise InvalidInputError(
                f"Expected views of one size, found {len(sizes)} sizes ({sorted(sizes)[:4]}). "
                "Render view by view, or resize the cameras to one size."
            )
        width, height = sizes.pop()
        return int(width), int(height)

    @property
    def camera_centres(self) -> Float[Tensor, "view 3"]:
        """Camera positions in the world frame."""
        rotation = self.world_to_camera[:, :3, :3]
        translation = self.world_to_camera[:, :3, 3]
        return -(rotation.transpose(1, 2) @ translation[..., None])[..., 0]

    def index_of(self, name: str) -> int:
        """Row of the view called `name`.

        Raises:
            UnknownViewError: no view has that name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            known = ", ".join(self.names[:5]) + (", ..." if len(self) > 5 else "")
            raise UnknownViewError(
                f"Expected the name of one of {len(self)} views ({known}), found {name!r}. Check the spelling."
            ) from None

    def select(self, names: Iterable[str]) -> CameraBatch:
        """The views called `names`, in that order.

        Raises:
            UnknownViewError: a name is unknown.
        """
        wanted = tuple(names)
        rows = torch.tensor([self.index_of(name) for name in wanted], dtype=torch.long, device=self.device)
        return CameraBatch(
            world_to_camera=self.world_to_camera[rows],
            intrinsics=self.intrinsics[rows],
            image_sizes=self.image_sizes[rows],
            names=wanted,
        )

    def resized(self, width: int, height: int) -> CameraBatch:
        """The same cameras for photos resampled to `width` x `height` pixels."""
        if width < 1 or height < 1:
            raise InvalidInputError(
                f"Expected a size of at least 1x1 pixel, found {width}x{height}. Ask for a larger one."
            )
        new_sizes = torch.tensor([width, height], dtype=self.image_sizes.dtype, device=self.device).expand(len(self), 2)
        factors = new_sizes / self.image_sizes
        intrinsics = self.intrinsics.clone()
        intrinsics[:, 0] *= factors[:, :1].to(intrinsics.dtype)
        intrinsics[:, 1] *= factors[:, 1:].to(intrinsics.dtype)
        return replace(self, intrinsics=intrinsics, image_sizes=new_sizes.clone())

    def to(self, device: torch.device | str) -> CameraBatch:
        """The same cameras with their matrices on `device`."""
        return replace(
            self,
            world_to_camera=self.world_to_camera.to(device),
            intrinsics=self.intrinsics.to(device),
            image_sizes=self.image_sizes.to(device),
        )


def _check_names(names: tuple[str, ...]) -> None:
    if len(set(names)) != len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise InvalidInputError(
            f"Expected unique view names, found {repeated[:5]} more than once. Rename the photos or drop the copies."
        )


def _check_poses(world_to_camera: Tensor, names: tuple[str, ...]) -> None:
    poses = world_to_camera.detach().double()
    finite = torch.isfinite(poses).flatten(1).all(1)
    rotation = poses[:, :3, :3]
    residual = rotation @ rotation.transpose(1, 2) - torch.eye(3, dtype=poses.dtype, device=poses.device)
    rigid = (residual.abs().flatten(1).amax(1) < _ROTATION_TOLERANCE) & (torch.linalg.det(rotation.nan_to_num()) > 0)
    bad = [name for name, ok in zip(names, (finite & rigid).tolist(), strict=True) if not ok]
    if bad:
        raise InvalidInputError(
            f"Expected finite, rigid world-to-camera poses (rotation with determinant +1), found {len(bad)} views "
            f"without one: {bad[:5]}. Repair or drop these views."
        )


def _check_intrinsics(intrinsics: Tensor, image_sizes: Tensor, names: tuple[str, ...]) -> None:
    focal = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]], -1).detach()
    good = torch.isfinite(intrinsics.detach()).flatten(1).all(1) & (focal > 0).all(1) & (image_sizes > 0).all(1)
    bad = [name for name, ok in zip(names, good.tolist(), strict=True) if not ok]
    if bad:
        raise InvalidInputError(
            f"Expected positive focal lengths and image sizes, found views without them: {bad[:5]}. "
            "Check fx, fy, width and height in the camera file."
        )
