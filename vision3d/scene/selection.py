"""Taking Gaussians out of a scene and joining scenes: every re-indexing of a `GaussianScene` goes through here.

A selection is a boolean mask [gaussian] or a list of rows; row order and repeats are kept. Gradients flow through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.scene.gaussian_scene import SH_COUNTS, GaussianScene

Selection = Bool[Tensor, " gaussian"] | Int[Tensor, " row"]
"""A mask over all Gaussians, or the rows wanted."""


def select_gaussians(scene: GaussianScene, which: Selection) -> GaussianScene:
    """The chosen Gaussians: those a mask marks, or the listed rows in their order.

    Raises:
        InvalidInputError: a mask of another length, or a row that does not exist (rows count from 0).

    Example:
        >>> scene = GaussianScene(
        ...     means=torch.arange(6.0).reshape(2, 3), quats=torch.ones(2, 4), log_scales=torch.zeros(2, 3),
        ...     opacity_logits=torch.zeros(2), sh=torch.zeros(2, 1, 3),
        ... )
        >>> select_gaussians(scene, torch.tensor([False, True])).means.tolist()
        [[3.0, 4.0, 5.0]]
    """
    rows = selected_rows(which, len(scene)).to(scene.device)
    return replace(scene, **{field.name: getattr(scene, field.name)[rows] for field in fields(scene)})


def remove_gaussians(scene: GaussianScene, which: Selection) -> GaussianScene:
    """The Gaussians that are not chosen, in their order.

    Raises:
        InvalidInputError: as `select_gaussians`.
    """
    return select_gaussians(scene, ~selection_mask(which, len(scene)).to(scene.device))


def selection_mask(which: Selection, count: int) -> Bool[Tensor, " gaussian"]:
    """The selection as a mask over `count` Gaussians."""
    mask = torch.zeros(count, dtype=torch.bool, device=which.device)
    mask[selected_rows(which, count)] = True
    return mask


def selected_rows(which: Selection, count: int) -> Int[Tensor, " row"]:
    """The selection as int64 rows among `count` Gaussians.

    Raises:
        InvalidInputError: a mask of another length, or a row outside 0..count-1.
    """
    if which.dtype == torch.bool:
        if which.shape != (count,):
            raise InvalidInputError(
                f"Expected a mask with one entry for each of {count} Gaussians, found shape {tuple(which.shape)}. "
                "Use a mask made for this very scene."
            )
        return torch.nonzero(which)[:, 0]
    if which.is_floating_point() or which.is_complex() or which.ndim != 1:
        raise InvalidInputError(
            f"Expected a boolean mask or a list of integer rows, found {which.dtype} of shape {tuple(which.shape)}."
        )
    outside = (which < 0) | (which >= count)
    if outside.any():
        raise InvalidInputError(
            f"Expected rows from 0 to {count - 1}, found {int(outside.sum())} outside, e.g. {int(which[outside][0])}. "
            "Use rows of this very scene."
        )
    return which.long()


def concatenate_scenes(scenes: Sequence[GaussianScene]) -> GaussianScene:
    """All Gaussians of `scenes`, one scene after the other, at the highest SH degree among them.

    The scenes must share a frame; missing bands are filled with zeros, which changes no colour.

    Raises:
        InvalidInputError: no scene, or scenes on different devices.
    """
    devices = {str(scene.device) for scene in scenes}
    if len(devices) != 1:
        raise InvalidInputError(
            f"Expected at least one scene, all on one device, found {len(scenes)} on {sorted(devices)}. "
            "Move them first."
        )
    degree = max(scene.sh_degree for scene in scenes)
    padded = [with_sh_degree(scene, degree) for scene in scenes]
    return GaussianScene(
        **{field.name: torch.cat([getattr(scene, field.name) for scene in padded]) for field in fields(GaussianScene)}
    )


def with_sh_degree(scene: GaussianScene, degree: int) -> GaussianScene:
    """The same Gaussians with SH of `degree`: higher bands are cut off, missing ones are zero.

    Raises:
        InvalidInputError: a degree outside 0-3.
    """
    if degree not in SH_COUNTS.values():
        raise InvalidInputError(f"Expected an SH degree of 0, 1, 2 or 3, found {degree}.")
    wanted = (degree + 1) ** 2
    missing = max(0, wanted - scene.sh.shape[1])
    return replace(scene, sh=torch.cat([scene.sh[:, :wanted], scene.sh.new_zeros(len(scene), missing, 3)], dim=1))
