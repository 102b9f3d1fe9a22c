"""Camera paths for previews: an orbit that suits how the scene was captured."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError

_FORWARD_FACING_SPREAD_DEGREES = 60.0
_PULL = 1e-4
_NEAREST_FOCUS = 0.1
_ROUNDING = 1e-6
_LEAST_UP = 0.1


def look_at(eye: Float[Tensor, " 3"], target: Float[Tensor, " 3"], up: Float[Tensor, " 3"]) -> Float[Tensor, "4 4"]:
    """World-to-camera matrix (OpenCV axes) of a camera at `eye` that looks at `target` with `up` upwards.

    Example:
        >>> pose = look_at(torch.tensor([0.0, -2, 0]), torch.zeros(3), torch.tensor([0.0, 0, 1]))
        >>> (pose @ torch.tensor([0.0, 0, 0, 1])).tolist()  # the target: in the middle, 2 in front
        [0.0, 0.0, 2.0, 1.0]

    Raises:
        InvalidInputError: eye and target coincide, or the view is along `up`.
    """
    forward = target - eye
    right = torch.linalg.cross(forward, up)
    if float(torch.linalg.norm(forward)) < 1e-9 or float(torch.linalg.norm(right)) < 1e-9:
        raise InvalidInputError(
            f"look_at: expected a target away from the eye and off the up axis, found eye {eye.tolist()}, target "
            f"{target.tolist()}, up {up.tolist()}. Move the eye."
        )
    forward = forward / torch.linalg.norm(forward)
    right = right / torch.linalg.norm(right)
    down = torch.linalg.cross(forward, right)
    pose = torch.eye(4, dtype=eye.dtype)
    pose[:3, :3] = torch.stack([right, down, forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose


def focus_point(cameras: CameraBatch) -> Float[Tensor, " 3"]:
    """The point nearest to all view axes (least squares), always in front of the cameras.

    Parallel and diverging views have no such point; theirs lies as far ahead as the cameras are spread (at least one
    world unit).
    """
    axes = cameras.world_to_camera[:, 2, :3].double()
    centres = cameras.camera_centres.double()
    middle = centres.mean(0)
    identity = torch.eye(3, dtype=torch.float64, device=axes.device)
    across = identity - axes[:, :, None] * axes[:, None, :]
    # a little pull towards the middle keeps parallel views solvable
    system = across.sum(0) + _PULL * len(cameras) * identity
    crossing = (across @ centres[..., None]).sum(0)[:, 0] + _PULL * len(cameras) * middle
    focus = torch.linalg.solve(system, crossing)
    spread = (centres - middle).norm(dim=1).amax()
    ahead = ((focus - centres) * axes).sum(1).median()
    if float(ahead) <= _NEAREST_FOCUS * float(spread) + _ROUNDING * (1.0 + float(middle.norm())):
        reach = spread.clamp_min(1.0)
        focus = middle + torch.nn.functional.normalize(axes.mean(0), dim=0) * reach
    return focus.float()


def orbit_cameras(cameras: CameraBatch, *, view_count: int, width: int, height: int) -> CameraBatch:
    """A closed path of `view_count` cameras around the point the given cameras look at.

    Cameras all around an object give a full circle at their mean height; cameras within a cone (a wall, a fern) give
    a small ellipse inside the covered area, so that the path never leaves what was seen. Names are `orbit_000`, ...
    The picture shows at least what the given cameras see, whatever its shape.

    Raises:
        InvalidInputError: there is no camera to start from, or fewer than one view or pixel is asked for.
    """
    if view_count < 1 or width < 1 or height < 1 or len(cameras) == 0:
        raise InvalidInputError(
            f"orbit_cameras: expected at least one camera, view and pixel, found {len(cameras)} cameras and "
            f"{view_count} views of {width}x{height} asked for. Raise them."
        )
    source = cameras.to("cpu")
    focus = focus_point(source)
    offsets = source.camera_centres - focus
    outwards = torch.nn.functional.normalize(offsets.mean(0), dim=0)
    angles = torch.rad2deg(torch.acos((torch.nn.functional.normalize(offsets, dim=1) @ outwards).clamp(-1, 1)))
    turns = torch.arange(view_count) / view_count * 2 * math.pi
    forward_facing = float(torch.quantile(angles, 0.9)) < _FORWARD_FACING_SPREAD_DEGREES
    up = _mean_up(source, otherwise=-source.world_to_camera[0, 1, :3] if forward_facing else outwards)
    if forward_facing:
        eyes = _ellipse(source.camera_centres, focus, up, turns)
    else:
        eyes = _circle(offsets, up, turns) + focus
    zoom = (torch.tensor([width, height]) / source.image_sizes).amin(1)
    intrinsics = torch.eye(3).repeat(view_count, 1, 1)
    intrinsics[:, 0, 0] = (source.intrinsics[:, 0, 0] * zoom).mean()
    intrinsics[:, 1, 1] = (source.intrinsics[:, 1, 1] * zoom).mean()
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = width / 2, height / 2
    return CameraBatch(
        world_to_camera=torch.stack([look_at(eye, focus, up) for eye in eyes]),
        intrinsics=intrinsics,
        image_sizes=torch.tensor([[width, height]] * view_count),
        names=tuple(f"orbit_{place:03d}" for place in range(view_count)),
    ).to(cameras.device)


def _mean_up(cameras: CameraBatch, *, otherwise: Float[Tensor, " 3"]) -> Float[Tensor, " 3"]:
    """Mean upward direction of the photos; `otherwise` where they are rolled all around and cancel out."""
    up = -cameras.world_to_camera[:, 1, :3].mean(0)
    return torch.nn.functional.normalize(up if float(up.norm()) > _LEAST_UP else otherwise, dim=0)


def _circle(
    offsets: Float[Tensor, "view 3"], up: Float[Tensor, " 3"], turns: Float[Tensor, " turn"]
) -> Float[Tensor, "turn 3"]:
    heights = offsets @ up
    level = offsets - heights[:, None] * up
    distances = level.norm(dim=1)
    first = torch.nn.functional.normalize(level[distances.argmax()], dim=0)
    second = torch.linalg.cross(up, first)
    around = torch.cos(turns)[:, None] * first + torch.sin(turns)[:, None] * second
    return around * distances.median() + heights.median() * up


def _ellipse(
    centres: Float[Tensor, "view 3"], focus: Float[Tensor, " 3"], up: Float[Tensor, " 3"], turns: Float[Tensor, " turn"]
) -> Float[Tensor, "turn 3"]:
    middle = centres.mean(0)
    forward = torch.nn.functional.normalize(focus - middle, dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=0)
    upwards = torch.linalg.cross(right, forward)
    spread = centres - middle
    half_width = 0.8 * (spread @ right).abs().quantile(0.7)
    half_height = 0.8 * (spread @ upwards).abs().quantile(0.7)
    return middle + torch.cos(turns)[:, None] * half_width * right + torch.sin(turns)[:, None] * half_height * upwards
