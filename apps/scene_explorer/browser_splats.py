"""The splats that the browser draws: selection tinted or alone, turned and sized for gradio's 3D viewer.

That viewer (gsplat.js) takes -y as up, starts 5 units from the origin, half a radian to the right and above, and has
one focal length in pixels. The scene is brought there so that its middle fills the view as it fills the picture.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from apps.scene_explorer.exploration import Exploration
from apps.scene_explorer.orbit import Orbit
from vision3d.scene.gaussian_scene import SH_C0, GaussianScene
from vision3d.scene.selection import select_gaussians
from vision3d.scene.transforms import apply_similarity

VIEWER_HEIGHT = 520
"""Pixels of the viewer on the page."""
VIEWER_DISTANCE = 5.0
"""Units from the origin to its camera."""
VIEWER_FOCAL = 1132.0
"""Its focal length in pixels."""
VIEWER_TURN = 0.5
"""Radians to the right, and above, at which it starts."""
_DIM = 0.3


def browser_splats(exploration: Exploration, *, alone: bool = False) -> GaussianScene:
    """The scene for the viewer; with a selection, all else is grey and dark, or left out.

    Colours hold without harmonics, which the viewer does not draw.
    """
    scene, chosen = exploration.explored.scene.detach().to("cpu"), exploration.chosen
    scene = replace(scene, sh=scene.sh[:, :1])
    if chosen is not None:
        chosen = chosen.cpu()
        scene = select_gaussians(scene, chosen) if alone else replace(scene, sh=_dimmed(scene.sh, chosen))
    placement, scale = placed_for_viewer(exploration.explored.orbit)
    return apply_similarity(scene, placement, scale)


def placed_for_viewer(orbit: Orbit) -> tuple[Float[Tensor, "3 4"], float]:
    """[R | t] and scale that bring the orbit's middle to the origin, its up to -y and its first stand to the eye."""
    down = -orbit.up
    right = torch.linalg.cross(down, -orbit.front)
    axes = torch.stack([right, down, -orbit.front])  # world to a camera at the first stand, level
    cos, sin = math.cos(VIEWER_TURN), math.sin(VIEWER_TURN)
    turn = torch.tensor([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
    rotation = turn @ axes
    scale = (VIEWER_DISTANCE / orbit.distance) * orbit.focal_share * VIEWER_HEIGHT / VIEWER_FOCAL
    return torch.cat([rotation, -(rotation @ orbit.middle)[:, None]], 1), scale


def _dimmed(sh: Float[Tensor, "gaussian 1 3"], chosen: Tensor) -> Float[Tensor, "gaussian 1 3"]:
    grey = (sh * SH_C0 + 0.5).clamp(0, 1).mean(2, keepdim=True) * _DIM
    return torch.where(chosen[:, None, None], sh, ((grey - 0.5) / SH_C0).expand_as(sh))
