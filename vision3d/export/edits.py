"""Edits as data: isolate, remove, recolour, move, duplicate, each naming the Gaussians of the scene it is applied to.

`apply_edit` gives a new `EditedScene` and leaves the old one as it was, bit by bit; whatever an edit does not concern
keeps its bits too. Each Gaussian remembers the row of the unedited scene it came from, so objects can follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.scene.gaussian_scene import SH_C0, GaussianScene
from vision3d.scene.rotations import quats_to_matrices
from vision3d.scene.selection import (
    Selection,
    concatenate_scenes,
    remove_gaussians,
    select_gaussians,
    selected_rows,
    selection_mask,
)
from vision3d.scene.transforms import apply_similarity

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_DARKEST = 0.05
"""Mean brightness below which a recoloured thing is not brightened any further; noise would be, too."""
_NO_TURN = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolate:
    """Keep the chosen Gaussians alone."""

    chosen: Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Take the chosen Gaussians away; what they hid may show a hole, for nobody saw what lies there."""

    chosen: Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Recolour:
    """Give the chosen Gaussians a colour."""

    chosen: Selection
    colour: tuple[float, float, float]
    """RGB in 0-1."""
    keep_shading: bool = True
    """Keep how bright each Gaussian is, from every side, against their mean; otherwise all get the bare colour."""

    def __post_init__(self) -> None:
        if len(self.colour) != 3 or not all(0 <= value <= 1 for value in self.colour):
            raise InvalidInputError(
                f"Recolour: expected a colour of three numbers in 0-1, found {self.colour}. Divide by 255?"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Scale and turn the chosen Gaussians about a pivot, then shift them."""

    chosen: Selection
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Shift, world units."""
    rotation: tuple[float, float, float, float] = _NO_TURN
    """Quaternion w, x, y, z of any non-zero length."""
    scale: float = 1.0
    """Factor of size."""
    pivot: tuple[float, float, float] | None = None
    """Point that a turn leaves where it is; None takes the mean of the chosen centres."""

    def __post_init__(self) -> None:
        _check_placement(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Add a copy of the chosen Gaussians at another place; the fields are those of `Move`."""

    chosen: Selection
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Shift of the copy, world units."""
    rotation: tuple[float, float, float, float] = _NO_TURN
    """Quaternion w, x, y, z of any non-zero length."""
    scale: float = 1.0
    """Factor of size."""
    pivot: tuple[float, float, float] | None = None
    """Point that a turn leaves where it is; None takes the mean of the chosen centres."""

    def __post_init__(self) -> None:
        _check_placement(self)


Edit = Isolate | Remove | Recolour | Move | Duplicate


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedScene:
    """A scene and where its Gaussians come from."""

    scene: GaussianScene
    source: Int[Tensor, " gaussian"]
    """Row of each Gaussian in the unedited scene."""
    copy: Int[Tensor, " gaussian"]
    """0 for the Gaussians of the unedited scene, else the number of the duplication that made it, from 1."""


def unedited(scene: GaussianScene) -> EditedScene:
    """The scene before any edit."""
    rows = torch.arange(len(scene), device=scene.device)
    return EditedScene(scene=scene, source=rows, copy=torch.zeros_like(rows))


def apply_edit(edited: EditedScene, edit: Edit) -> EditedScene:
    """The scene after one more edit.

    Raises:
        InvalidInputError: the edit's selection is of another scene, empty, or all there is to remove.

    Example:
        >>> scene = GaussianScene(
        ...     means=torch.zeros(2, 3), quats=torch.ones(2, 4), log_scales=torch.zeros(2, 3),
        ...     opacity_logits=torch.zeros(2), sh=torch.zeros(2, 1, 3),
        ... )
        >>> moved = apply_edit(unedited(scene), Move(chosen=torch.tensor([1]), offset=(0.0, 0.0, 2.0)))
        >>> moved.scene.means.tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]
    """
    rows = selected_rows(edit.chosen.to(edited.scene.device), len(edited.scene))
    name = type(edit).__name__
    if len(rows) == 0:
        raise InvalidInputError(f"{name}: expected at least one Gaussian, found none. Choose something of the scene.")
    if isinstance(edit, Remove) and len(rows.unique()) == len(edited.scene):
        raise InvalidInputError(
            f"Remove: expected to keep at least one Gaussian, found all {len(edited.scene)} chosen. Choose fewer."
        )
    return _APPLY[type(edit)](edited, edit, rows)


def describe_edit(edit: Edit) -> dict[str, Any]:
    """The edit in plain values for a JSON record: its name, how many Gaussians it chose, and its settings."""
    chosen = edit.chosen
    count = int(chosen.sum()) if chosen.dtype == torch.bool else len(chosen)
    settings = {field.name: getattr(edit, field.name) for field in fields(edit) if field.name != "chosen"}
    return {"edit": type(edit).__name__.lower(), "gaussians": count} | settings


def recoloured(scene: GaussianScene, colour: tuple[float, float, float], *, keep_shading: bool = True) -> GaussianScene:
    """All Gaussians in one colour.

    With shading, the colour seen from a direction is `colour` times the Gaussian's brightness from there over the mean
    brightness of all; brightness is linear in the harmonics, so this is exact, also for view-dependent bands.
    """
    target = torch.tensor(colour, dtype=scene.sh.dtype, device=scene.device)
    if not keep_shading:
        sh = torch.zeros_like(scene.sh)
        sh[:, 0] = (target - 0.5) / SH_C0
        return replace(scene, sh=sh)
    brightness = scene.sh @ torch.tensor(_LUMINANCE, dtype=scene.sh.dtype, device=scene.device)
    brightness[:, 0] += 0.5 / SH_C0
    mean = float((brightness[:, 0] * SH_C0).clamp_min(0).mean())
    sh = brightness[..., None] * (target / max(mean, _DARKEST))
    sh[:, 0] -= 0.5 / SH_C0
    return replace(scene, sh=sh)


def placed(scene: GaussianScene, edit: Move | Duplicate) -> GaussianScene:
    """All Gaussians scaled and turned about the pivot, then shifted; a mere shift touches the centres alone."""
    offset = torch.tensor(edit.offset, dtype=torch.float64, device=scene.device)
    turn = torch.tensor(edit.rotation, dtype=torch.float64, device=scene.device)
    if edit.scale == 1 and not turn[1:].any():
        return replace(scene, means=(scene.means.double() + offset).to(scene.means.dtype))
    centre = scene.means.double().mean(0) if edit.pivot is None else torch.tensor(edit.pivot, dtype=torch.float64)
    centre = centre.to(scene.device)
    matrix = quats_to_matrices(turn)
    # x goes to scale (R x + t), which has to be scale R (x - centre) + centre + offset
    shift = (centre + offset) / edit.scale - matrix @ centre
    return apply_similarity(scene, torch.cat([matrix, shift[:, None]], 1), edit.scale)


def _isolate(edited: EditedScene, edit: Isolate, rows: Tensor) -> EditedScene:
    kept = selection_mask(rows, len(edited.scene))
    return EditedScene(scene=select_gaussians(edited.scene, kept), source=edited.source[kept], copy=edited.copy[kept])


def _remove(edited: EditedScene, edit: Remove, rows: Tensor) -> EditedScene:
    kept = ~selection_mask(rows, len(edited.scene))
    return EditedScene(scene=remove_gaussians(edited.scene, rows), source=edited.source[kept], copy=edited.copy[kept])


def _recolour(edited: EditedScene, edit: Recolour, rows: Tensor) -> EditedScene:
    changed = recoloured(select_gaussians(edited.scene, rows), edit.colour, keep_shading=edit.keep_shading)
    return replace(edited, scene=replace(edited.scene, sh=edited.scene.sh.index_copy(0, rows, changed.sh)))


def _move(edited: EditedScene, edit: Move, rows: Tensor) -> EditedScene:
    changed = placed(select_gaussians(edited.scene, rows), edit)
    names = [field.name for field in fields(GaussianScene)]
    joined = {name: getattr(edited.scene, name).index_copy(0, rows, getattr(changed, name)) for name in names}
    return replace(edited, scene=replace(edited.scene, **joined))


def _duplicate(edited: EditedScene, edit: Duplicate, rows: Tensor) -> EditedScene:
    added = placed(select_gaussians(edited.scene, rows), edit)
    number = int(edited.copy.max()) + 1
    return EditedScene(
        scene=concatenate_scenes([edited.scene, added]),
        source=torch.cat([edited.source, edited.source[rows]]),
        copy=torch.cat([edited.copy, torch.full_like(rows, number)]),
    )


_APPLY: dict[type, Callable[[EditedScene, Any, Tensor], EditedScene]] = {
    Isolate: _isolate,
    Remove: _remove,
    Recolour: _recolour,
    Move: _move,
    Duplicate: _duplicate,
}


def _check_placement(edit: Move | Duplicate) -> None:
    name = type(edit).__name__
    values = torch.tensor([*edit.offset, *edit.rotation, edit.scale, *(edit.pivot or ())], dtype=torch.float64)
    if not bool(torch.isfinite(values).all()) or edit.scale <= 0 or not any(edit.rotation):
        raise InvalidInputError(
            f"{name}: expected finite numbers, a positive scale and a quaternion of non-zero length, found offset "
            f"{edit.offset}, rotation {edit.rotation}, scale {edit.scale}, pivot {edit.pivot}. Correct them."
        )
