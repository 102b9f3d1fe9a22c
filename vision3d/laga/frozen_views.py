"""`FrozenViews`: the blending weights of every view of a scene whose geometry no longer moves, in bounded memory."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.masks.view_masks import ViewMasks
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of
from vision3d.rendering.renderer import BlendingWeights, Renderer
from vision3d.rendering.sparse_weights import render_pixels
from vision3d.scene.gaussian_scene import GaussianScene


class FrozenViews:
    """Sparse matrices [pixel gaussian] by view, made when first asked for.

    Matrices are kept as long as they fit the memory; the views that come after are made anew each time. (Throwing out
    the oldest would miss every time when the views are gone through in turn.)
    """

    def __init__(
        self,
        scene: GaussianScene,
        cameras: CameraBatch,
        *,
        renderer: Renderer | None = None,
        minimum_weight: float = 0.005,
        memory_budget: int = 1_000_000_000,
    ) -> None:
        """Take the scene as it is now.

        Args:
            scene: its Gaussians.
            cameras: the views, of one size.
            renderer: None takes the one that fits the scene's device.
            minimum_weight: smaller blending weights are dropped; the others stay as they are.
            memory_budget: bytes of matrices to keep.
        """
        self.cameras = cameras
        self.width, self.height = cameras.uniform_size
        self.gaussian_count = len(scene)
        self._splats = splats_of(scene.detach())
        self._renderer = renderer or choose_renderer(scene.device)
        self._minimum_weight = minimum_weight
        self._memory_left = memory_budget
        self._kept: dict[int, BlendingWeights] = {}

    def __len__(self) -> int:
        return len(self.cameras)

    def weights(self, view: int) -> BlendingWeights:
        """The blending weights of one view, by its row in the cameras."""
        if view in self._kept:
            return self._kept[view]
        camera = self.cameras.select([self.cameras.names[view]])
        (full,) = self._renderer.blending_weights(self._splats, camera)
        thin = without_small_weights(full, self._minimum_weight)
        size = sum(t.numel() * t.element_size() for t in (thin.row_offsets, thin.gaussians, thin.weights))
        if size <= self._memory_left:
            self._memory_left -= size
            self._kept[view] = thin
        return thin

    def render(
        self, view: int, channels: Float[Tensor, "gaussian dim"], pixels: Int[Tensor, " pixel"] | None = None
    ) -> Float[Tensor, "pixel dim"]:
        """Composited channels at `pixels` of one view (None = all, row by row); differentiable in the channels."""
        return render_pixels(self.weights(view), channels, pixels)

    def lift(self, view: int, values: Float[Tensor, "pixel dim"]) -> Float[Tensor, "gaussian dim"]:
        """Sum over the pixels of one view of weight x value, for every Gaussian: the transpose of `render`."""
        channels = torch.zeros(self.gaussian_count, values.shape[1], device=values.device, requires_grad=True)
        return torch.autograd.grad(self.render(view, channels), channels, values)[0]


def without_small_weights(weights: BlendingWeights, minimum: float) -> BlendingWeights:
    """The same matrix without its entries below `minimum`."""
    kept = weights.weights >= minimum
    before = torch.zeros(len(kept) + 1, dtype=torch.long, device=kept.device)
    torch.cumsum(kept, 0, out=before[1:])
    return replace(
        weights,
        row_offsets=before[weights.row_offsets],
        gaussians=weights.gaussians[kept],
        weights=weights.weights[kept],
    )


def cameras_of_masks(cameras: CameraBatch, masks: ViewMasks) -> CameraBatch:
    """The cameras of the masks' views, row by row.

    Raises:
        UnknownViewError: a view of the masks has no camera.
        InvalidInputError: the masks are of another size than the cameras' images.
    """
    chosen = cameras.select(masks.view_names)
    width, height = chosen.uniform_size
    if masks.labels.shape[2:] != (height, width):
        raise InvalidInputError(
            f"Expected masks of the cameras' {height} rows and {width} columns, found {masks.labels.shape[2]} and "
            f"{masks.labels.shape[3]}. Make the masks from the photos at the size of the cameras."
        )
    return chosen
