"""Walking around a scene: from turn, height and distance to a camera that looks at the scene's middle.

A turn of 0 and a distance of 1 is where the first photo was taken from; degrees throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.trajectories import focus_point, look_at
from vision3d.reconstruction.render_run import orbit_around
from vision3d.scene.gaussian_scene import GaussianScene

STEEPEST_DEGREES = 85.0
"""Heights beyond this would look along the up axis."""
_BARE_UP = (0.0, -1.0, 0.0)
_LEAST_UP = 0.1
_SIDE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Orbit:
    """What is walked around, world units."""

    middle: Float[Tensor, " 3"]
    """What every camera looks at."""
    up: Float[Tensor, " 3"]
    """Unit vector."""
    front: Float[Tensor, " 3"]
    """Unit vector across `up`, from the middle to where one stands first."""
    distance: float
    """From the middle to where one stands first."""
    height_degrees: float
    """How high above the middle one stands first."""
    focal_share: float
    """Focal length as a share of the shorter side of a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where one stands."""

    turn_degrees: float = 0.0
    """To the right around the scene."""
    height_degrees: float = 0.0
    """Above the middle; at most `STEEPEST_DEGREES`, either way."""
    distance_share: float = 1.0
    """1 = as far as the first photo was taken from."""


def find_orbit(scene: GaussianScene, cameras: CameraBatch | None) -> Orbit:
    """The walk that suits how the scene was captured; without cameras, one around its box with +y down."""
    scene = scene.detach().to("cpu")
    if cameras is None:
        first = orbit_around(scene, view_count=1, side=_SIDE)
        eye, forward = first.camera_centres[0], first.world_to_camera[0, 2, :3]
        near = ((scene.means.median(0).values - eye) @ forward).clamp_min(1e-6)
        return _orbit(first, eye + near * forward, torch.tensor(_BARE_UP))
    cameras = cameras.to("cpu")
    first = cameras.select(cameras.names[:1])
    up = -cameras.world_to_camera[:, 1, :3].mean(0)
    if float(up.norm()) < _LEAST_UP:  # rolled all around
        up = -first.world_to_camera[0, 1, :3]
    return _orbit(first, focus_point(cameras), torch.nn.functional.normalize(up, dim=0))


def start_stand(orbit: Orbit) -> Stand:
    """Where one stands first."""
    return Stand(height_degrees=round(min(max(orbit.height_degrees, -STEEPEST_DEGREES), STEEPEST_DEGREES)))


def camera_at(orbit: Orbit, stand: Stand, *, width: int, height: int) -> CameraBatch:
    """The one camera of a stand.

    Example:
        >>> orbit = Orbit(
        ...     middle=torch.zeros(3), up=torch.tensor([0.0, 0, 1]), front=torch.tensor([1.0, 0, 0]), distance=2.0,
        ...     height_degrees=0.0, focal_share=1.0,
        ... )
        >>> camera_at(orbit, Stand(turn_degrees=90.0), width=64, height=48).camera_centres.round().abs().tolist()
        [[0.0, 2.0, 0.0]]
    """
    steep = min(max(stand.height_degrees, -STEEPEST_DEGREES), STEEPEST_DEGREES)
    turn, rise = math.radians(stand.turn_degrees), math.radians(steep)
    side = torch.linalg.cross(orbit.up, orbit.front)
    level = math.cos(turn) * orbit.front + math.sin(turn) * side
    outwards = math.cos(rise) * level + math.sin(rise) * orbit.up
    eye = orbit.middle + orbit.distance * stand.distance_share * outwards
    focal = orbit.focal_share * min(width, height)
    return CameraBatch(
        world_to_camera=look_at(eye, orbit.middle, orbit.up)[None],
        intrinsics=torch.tensor([[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]]),
        image_sizes=torch.tensor([[width, height]]),
        names=("the picture",),
    )


def _orbit(first: CameraBatch, middle: Tensor, up: Tensor) -> Orbit:
    outwards = first.camera_centres[0] - middle
    distance = outwards.norm().clamp_min(1e-6)
    height = float(outwards @ up)
    level = outwards - height * up
    if float(level.norm()) < 1e-3 * float(distance):  # straight above: any direction is as good
        across = torch.zeros(3)
        across[int(up.abs().argmin())] = 1.0
        level = across - (across @ up) * up
    return Orbit(
        middle=middle,
        up=up,
        front=torch.nn.functional.normalize(level, dim=0),
        distance=float(distance),
        height_degrees=math.degrees(math.asin(max(-1.0, min(1.0, height / float(distance))))),
        focal_share=float(first.intrinsics[0, 0, 0]) / min(first.uniform_size),
    )
