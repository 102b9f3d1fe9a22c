"""The CPU kernels as differentiable torch functions: projection, compositing, spherical harmonics.

Each loops over the views inside one autograd node, so that `means2d` keeps the shape [view gaussian 2]. One module
lock guards every kernel call: some Numba threading layers abort when two threads enter them at once, and viewers and
web pages are threaded. Forked children of a process that has rendered do not work; spawn them.
"""

# Kernel arguments are spread from tuples, whose length pyright cannot count.
# pyright: reportCallIssue=false
from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from vision3d.rendering.kernels import binning, compositing_narrow, compositing_wide, harmonics, projection
from vision3d.rendering.renderer import RasterOptions
from vision3d.rendering.tile_lists import TileLists, list_tiles

KERNEL_LOCK = threading.RLock()
"""Held during every kernel call of this process."""
NARROW_DIMS = 4
"""Channels the pixel-vectorised kernels hold; more take the wide path."""
_REGISTER = 8
_GEOMETRY_COLUMNS = compositing_narrow.GRADIENT_COLUMNS
_FLOAT_MAX = 3.0e38


def as_array(tensor: Tensor) -> NDArray[Any]:
    """A contiguous numpy view of a CPU tensor (a copy where it is not contiguous)."""
    return np.ascontiguousarray(tensor.detach().numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSize:
    """Image size in pixels."""

    width: int
    height: int


class ProjectSplats(torch.autograd.Function):
    """(means, quats, scales, opacities) -> (means2d, depths, conics, compensations, radii) per view and Gaussian."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        views: tuple[Tensor, Tensor],
        size: ViewSize,
        options: RasterOptions,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Project every Gaussian into every view (world_to_camera, intrinsics)."""
        inputs = tuple(as_array(tensor) for tensor in (means, quats, scales, opacities))
        poses, intrinsics = (as_array(tensor.float()) for tensor in views)
        view_count, count = poses.shape[0], inputs[0].shape[0]
        radii = np.empty((view_count, count, 2), np.int32)
        means2d = np.empty((view_count, count, 2), np.float32)
        depths = np.empty((view_count, count), np.float32)
        conics = np.empty((view_count, count, 3), np.float32)
        compensations = np.empty((view_count, count), np.float32)
        near, far = np.float32(options.near), np.float32(min(options.far, _FLOAT_MAX))
        with KERNEL_LOCK:
            for view in range(view_count):
                projection.project_forward(
                    *inputs, poses[view], intrinsics[view], size.width, size.height, np.float32(options.eps2d),
                    near, far, np.float32(options.radius_clip), options.antialiased,
                    radii[view], means2d[view], depths[view], conics[view], compensations[view],
                )  # fmt: skip
        ctx.saved = (inputs[:3], poses, intrinsics, size, options, radii, conics, compensations)
        outputs = tuple(torch.from_numpy(array) for array in (means2d, depths, conics, compensations, radii))
        ctx.mark_non_differentiable(outputs[-1])
        ctx.set_materialize_grads(True)
        return outputs  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Sum the gradients of all views."""
        inputs, poses, intrinsics, size, options, radii, conics, compensations = ctx.saved
        grad_means2d, grad_depths, grad_conics, grad_compensations = (as_array(tensor) for tensor in gradients[:4])
        sums = tuple(np.zeros_like(array) for array in inputs)
        with KERNEL_LOCK:
            for view in range(poses.shape[0]):
                projection.project_backward(
                    *inputs, poses[view], intrinsics[view], size.width, size.height, np.float32(options.eps2d),
                    radii[view], conics[view], compensations[view], grad_means2d[view], grad_depths[view],
                    grad_conics[view], grad_compensations[view], options.antialiased, *sums,
                )  # fmt: skip
        return *(torch.from_numpy(array) for array in sums), None, None, None, None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositePlan:
    """What compositing needs beside differentiable tensors."""

    size: ViewSize
    tiles: tuple[TileLists, ...]
    absgrad: bool


class CompositeSplats(torch.autograd.Function):
    """(means2d, conics, opacities, channels, background) -> (image, transmittance), by tile lists."""

    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        opacities: Tensor,
        channels: Tensor,
        background: Tensor,
        plan: CompositePlan,
    ) -> tuple[Tensor, Tensor]:
        """Blend front to back; channels [view gaussian dim], background [view dim]."""
        arrays = tuple(as_array(tensor) for tensor in (means2d, conics, opacities))
        dims = channels.shape[-1]
        padded = _pad_channels(as_array(channels))
        backgrounds = as_array(background)
        view_count, width, height = means2d.shape[0], plan.size.width, plan.size.height
        image = np.empty((view_count, height, width, dims), np.float32)
        transmittances = np.empty((view_count, height, width), np.float32)
        lasts = np.empty((view_count, height, width), np.int32)
        kernel = (
            compositing_narrow.composite_forward if dims <= NARROW_DIMS else compositing_wide.composite_forward_wide
        )
        with KERNEL_LOCK:
            for view, tiles in enumerate(plan.tiles):
                kernel(
                    *(array[view] for array in arrays), padded[view], backgrounds[view], tiles.tiles_x,
                    tiles.offsets, tiles.entries, tiles.spans, image[view], transmittances[view], lasts[view],
                )  # fmt: skip
        ctx.saved = (arrays, padded, dims, backgrounds, plan, transmittances, lasts)
        ctx.save_for_backward(means2d)
        return torch.from_numpy(image), torch.from_numpy(transmittances)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Walk the tiles back to front; one gradient row per splat-tile pair, then a sum per Gaussian."""
        arrays, padded, dims, backgrounds, plan, transmittances, lasts = ctx.saved
        grad_image = as_array(gradients[0])
        grad_alpha = as_array(-gradients[1])
        needs_geometry = any(ctx.needs_input_grad[:3])
        view_count, count = arrays[0].shape[:2]
        sums = np.empty((view_count, count, _GEOMETRY_COLUMNS + padded.shape[-1]), np.float32)
        with KERNEL_LOCK:
            for view, tiles in enumerate(plan.tiles):
                slots = np.empty((tiles.slot_count, sums.shape[-1]), np.float32)
                inputs = (*(array[view] for array in arrays), padded[view], backgrounds[view])
                lists = (tiles.tiles_x, tiles.offsets, tiles.entries, tiles.spans, tiles.slots)
                saved = (transmittances[view], lasts[view], grad_image[view], grad_alpha[view])
                if dims <= NARROW_DIMS:
                    compositing_narrow.composite_backward(*inputs, *lists, *saved, slots)
                else:
                    compositing_wide.composite_backward_wide(*inputs, *lists, *saved, needs_geometry, slots)
                binning.reduce_slots(slots, tiles.first_slot, tiles.touched, sums[view])
        totals = torch.from_numpy(sums)
        if plan.absgrad:
            (means2d,) = ctx.saved_tensors
            means2d.absgrad = totals[..., 6:8].clone()
        grad_background = None
        if ctx.needs_input_grad[4]:
            grad_background = torch.from_numpy((grad_image * transmittances[..., None]).sum((1, 2)))
        channel_totals = totals[..., _GEOMETRY_COLUMNS : _GEOMETRY_COLUMNS + dims]
        return totals[..., 0:2], totals[..., 2:5], totals[..., 5], channel_totals, grad_background, None


class ColourFromHarmonics(torch.autograd.Function):
    """(sh [gaussian k 3], means) -> colours [view gaussian 3] seen from the camera centres."""

    @staticmethod
    def forward(ctx: Any, sh: Tensor, means: Tensor, centres: Tensor, degree: int) -> Tensor:
        """Evaluate the bands up to `degree` for every view."""
        arrays = tuple(as_array(tensor) for tensor in (sh, means, centres.float()))
        colours = np.empty((centres.shape[0], means.shape[0], 3), np.float32)
        with KERNEL_LOCK:
            for view in range(colours.shape[0]):
                harmonics.harmonics_forward(arrays[0], arrays[1], arrays[2][view], degree, colours[view])
        ctx.saved = (arrays, degree, colours)
        return torch.from_numpy(colours)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Sum the gradients of all views; bands above `degree` get zero."""
        (sh, means, centres), degree, colours = ctx.saved
        grad_colours = as_array(gradients[0])
        grad_sh, grad_means = np.zeros_like(sh), np.zeros_like(means)
        with KERNEL_LOCK:
            for view in range(colours.shape[0]):
                harmonics.harmonics_backward(
                    sh, means, centres[view], degree, colours[view], grad_colours[view], ctx.needs_input_grad[1],
                    grad_sh, grad_means,
                )  # fmt: skip
        return torch.from_numpy(grad_sh), torch.from_numpy(grad_means), None, None


def tiles_of_views(projected: tuple[Tensor, Tensor, Tensor, Tensor, Tensor], size: ViewSize) -> tuple[TileLists, ...]:
    """Tile lists of each view from (means2d, depths, conics, opacities, radii)."""
    means2d, depths, conics, opacities, radii = (as_array(tensor) for tensor in projected)
    with KERNEL_LOCK:
        return tuple(
            list_tiles(
                means2d[view], radii[view], depths[view], conics[view], opacities[view],
                width=size.width, height=size.height,
            )
            for view in range(means2d.shape[0])
        )  # fmt: skip


def _pad_channels(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Zeros up to what the kernels take: four channels, or a multiple of a SIMD register of eight."""
    dims = channels.shape[-1]
    padded_dims = NARROW_DIMS if dims <= NARROW_DIMS else -(-dims // _REGISTER) * _REGISTER
    if padded_dims == dims:
        return channels
    padded = np.zeros((*channels.shape[:-1], padded_dims), np.float32)
    padded[..., :dims] = channels
    return padded
