"""Masks of selections along a camera path: where each is seen, with what stands in front of it taken into account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from numpy import ndarray
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import RasterOptions, Renderer
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import selection_mask

MASK_THRESHOLD = 0.5
"""Share of a pixel that a selection has to paint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMask:
    """One view of a path."""

    view: str
    """Its name."""
    masks: Mapping[str, Bool[ndarray, "height width"]]
    """Selection -> where it is seen; selections may overlap."""


def path_masks(
    scene: GaussianScene,
    selections: Mapping[str, Tensor],
    cameras: CameraBatch,
    *,
    threshold: float = MASK_THRESHOLD,
    renderer: Renderer | None = None,
    antialiased: bool = False,
) -> Iterator[PathMask]:
    """The masks view by view, so that memory does not grow with the path; views may differ in size.

    Args:
        scene: the whole scene, which hides and shows.
        selections: name -> mask over its Gaussians, or rows.
        cameras: the path.
        threshold: share of a pixel that a selection has to paint.
        renderer: None takes the one that fits the scene's device.
        antialiased: whether the scene was fitted with the antialiased filter.

    Raises:
        InvalidInputError: no selection, a threshold outside 0-1, or a selection of another scene.
    """
    if not selections or not 0 < threshold <= 1:
        raise InvalidInputError(
            f"path_masks: expected at least one selection and a threshold in (0, 1], found {len(selections)} and "
            f"{threshold}. Choose something to mask."
        )
    channels = torch.stack([selection_mask(rows, len(scene)).cpu() for rows in selections.values()], 1)
    return _rendered(scene, tuple(selections), channels.float(), cameras, (threshold, renderer, antialiased))


def _rendered(
    scene: GaussianScene, names: tuple[str, ...], channels: Tensor, cameras: CameraBatch,
    how: tuple[float, Renderer | None, bool],
) -> Iterator[PathMask]:  # fmt: skip
    threshold, renderer, antialiased = how
    renderer = renderer or choose_renderer(scene.device)
    splats, options = splats_of(scene.detach()), RasterOptions(antialiased=antialiased)
    for view in cameras.names:
        camera = cameras.select([view]).to(scene.device)
        with torch.no_grad():
            image = renderer.rasterize(splats, camera, channels.to(scene.device), options=options)
        seen = (image.channels[0] >= threshold).cpu().numpy()
        yield PathMask(view=view, masks={name: seen[..., row] for row, name in enumerate(names)})
