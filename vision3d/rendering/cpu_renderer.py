"""`CpuRenderer`: the `Renderer` protocol on plain CPUs, by the Numba kernels of `kernels/`.

Float32 only; results are bitwise the same for any number of threads. The first call of a process compiles the kernels
(about 15 s once per machine, then under a second from Numba's cache).
"""

# Kernel arguments are spread from tuples, whose length pyright cannot count.
# pyright: reportCallIssue=false
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.rendering.checks import check_label_map, check_raster_inputs
from vision3d.rendering.cpu_autograd import (
    KERNEL_LOCK,
    ColourFromHarmonics,
    CompositePlan,
    CompositeSplats,
    ProjectSplats,
    ViewSize,
    as_array,
    tiles_of_views,
)
from vision3d.rendering.kernels import contributions
from vision3d.rendering.renderer import (
    BlendingWeights,
    LabelWeights,
    Projection,
    Rasterization,
    RasterOptions,
    Splats,
    TopContributors,
)
from vision3d.rendering.tile_lists import TileLists

_DEFAULT_OPTIONS = RasterOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class _TiledView:
    """One projected view, ready for the contribution kernels."""

    splat_arrays: tuple[np.ndarray, ...]
    tiles: TileLists


class CpuRenderer:
    """Renders on the CPU; see `Renderer` for what each method answers."""

    name = "cpu"

    def rasterize(
        self,
        splats: Splats,
        cameras: CameraBatch,
        channels: Float[Tensor, "*channel_view gaussian dim"],
        *,
        background: Float[Tensor, "*background_view dim"] | None = None,
        with_depth: bool = False,
        options: RasterOptions = _DEFAULT_OPTIONS,
    ) -> Rasterization:
        """Composite per-Gaussian channels; differentiable. See `Renderer.rasterize`."""
        check_raster_inputs(splats, cameras, channels, background)
        size = ViewSize(width=cameras.uniform_size[0], height=cameras.uniform_size[1])
        projection = _project(splats, cameras, size, options)
        dims = channels.shape[-1]
        stacked = channels.float().expand(len(cameras), len(splats), dims)
        base = torch.zeros(dims) if background is None else background.float()
        base = base.expand(len(cameras), dims)
        if with_depth:
            stacked = torch.cat([stacked, projection.depths[..., None]], -1)
            base = torch.cat([base, torch.zeros(len(cameras), 1)], -1)
        tiles = tiles_of_views(_tile_inputs(projection), size)
        plan = CompositePlan(size=size, tiles=tiles, absgrad=options.absgrad)
        image, transmittance = CompositeSplats.apply(
            projection.means2d, projection.conics, projection.opacities, stacked, base, plan
        )
        return Rasterization(
            channels=image[..., :dims],
            alpha=1.0 - transmittance,
            depth=image[..., dims] if with_depth else None,
            projection=projection,
        )

    def sh_to_colours(
        self,
        sh: Float[Tensor, "gaussian coefficient 3"],
        means: Float[Tensor, "gaussian 3"],
        camera_centres: Float[Tensor, "view 3"],
        *,
        degree: int,
    ) -> Float[Tensor, "view gaussian 3"]:
        """View-dependent colours, clamped below at 0; differentiable. See `Renderer.sh_to_colours`."""
        if not 0 <= degree <= 3 or sh.shape[1] < (degree + 1) ** 2:
            raise InvalidInputError(
                f"Expected a degree of 0-3 with at least (degree + 1)^2 coefficients, found degree {degree} and "
                f"{sh.shape[1]} coefficients. Lower the degree."
            )
        return ColourFromHarmonics.apply(sh.float(), means.float(), camera_centres, degree)

    def blending_weights(
        self, splats: Splats, cameras: CameraBatch, *, options: RasterOptions = _DEFAULT_OPTIONS
    ) -> tuple[BlendingWeights, ...]:
        """One sparse matrix of blending weights per view. See `Renderer.blending_weights`."""
        width, height = cameras.uniform_size
        matrices = []
        for view in _tiled_views(splats, cameras, options):
            lists = (view.tiles.tiles_x, view.tiles.offsets, view.tiles.entries, view.tiles.spans)
            counts = np.empty((height, width), np.int64)
            row_offsets = np.zeros(height * width + 1, np.int64)
            none = np.zeros(1, np.int32), np.zeros(1, np.float32)
            with KERNEL_LOCK:
                contributions.sparse_rows(*view.splat_arrays, *lists, False, row_offsets, counts, *none)
                np.cumsum(counts.ravel(), out=row_offsets[1:])
                gaussians = np.empty(int(row_offsets[-1]), np.int32)
                weights = np.empty(int(row_offsets[-1]), np.float32)
                contributions.sparse_rows(*view.splat_arrays, *lists, True, row_offsets, counts, gaussians, weights)
            matrices.append(
                BlendingWeights(
                    row_offsets=torch.from_numpy(row_offsets),
                    gaussians=torch.from_numpy(gaussians),
                    weights=torch.from_numpy(weights),
                    height=height,
                    width=width,
                    gaussian_count=len(splats),
                )
            )
        return tuple(matrices)

    def label_weights(
        self,
        splats: Splats,
        cameras: CameraBatch,
        labels: Int[Tensor, "view height width"],
        *,
        label_count: int,
        options: RasterOptions = _DEFAULT_OPTIONS,
    ) -> LabelWeights:
        """Blending weight of each Gaussian per pixel label, summed over views. See `Renderer.label_weights`."""
        check_label_map(labels, cameras, label_count)
        label_arrays = as_array(labels.to(torch.int32))
        per_label = np.zeros((len(splats), label_count), np.float32)
        total = np.zeros(len(splats), np.float32)
        pixel_counts = np.zeros(len(splats), np.int64)
        for view, tiled in enumerate(_tiled_views(splats, cameras, options)):
            _add_labels(tiled, label_arrays[view], (per_label, total, pixel_counts))
        return LabelWeights(
            per_label=torch.from_numpy(per_label),
            total=torch.from_numpy(total),
            pixel_counts=torch.from_numpy(pixel_counts),
        )

    def top_contributors(
        self, splats: Splats, cameras: CameraBatch, *, k: int, options: RasterOptions = _DEFAULT_OPTIONS
    ) -> TopContributors:
        """The k strongest Gaussians of every pixel. See `Renderer.top_contributors`."""
        if k < 1:
            raise InvalidInputError(f"Expected k of at least 1, found {k}. Ask for one contributor or more.")
        width, height = cameras.uniform_size
        gaussians = np.empty((len(cameras), height, width, k), np.int32)
        weights = np.empty((len(cameras), height, width, k), np.float32)
        for view, tiled in enumerate(_tiled_views(splats, cameras, options)):
            tiles = tiled.tiles
            with KERNEL_LOCK:
                contributions.strongest(
                    *tiled.splat_arrays, tiles.tiles_x, tiles.offsets, tiles.entries, tiles.spans,
                    gaussians[view], weights[view],
                )  # fmt: skip
        return TopContributors(gaussians=torch.from_numpy(gaussians), weights=torch.from_numpy(weights))


def _project(splats: Splats, cameras: CameraBatch, size: ViewSize, options: RasterOptions) -> Projection:
    views = (cameras.world_to_camera, cameras.intrinsics)
    opacities = splats.opacities.float()
    means2d, depths, conics, compensations, radii = ProjectSplats.apply(
        splats.means.float(), splats.quats.float(), splats.scales.float(), opacities, views, size, options
    )
    factor = compensations if options.antialiased else (radii[..., 0] > 0).float()
    composited = opacities * factor  # 0 where culled
    return Projection(means2d=means2d, radii=radii, depths=depths, conics=conics, opacities=composited)


def _tile_inputs(projection: Projection) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return projection.means2d, projection.depths, projection.conics, projection.opacities, projection.radii


def _tiled_views(splats: Splats, cameras: CameraBatch, options: RasterOptions) -> list[_TiledView]:
    check_raster_inputs(splats, cameras, splats.opacities.detach()[:, None], None)
    size = ViewSize(width=cameras.uniform_size[0], height=cameras.uniform_size[1])
    with torch.no_grad():
        projection = _project(splats, cameras, size, options)
    tiles = tiles_of_views(_tile_inputs(projection), size)
    arrays = tuple(as_array(tensor) for tensor in (projection.means2d, projection.conics, projection.opacities))
    return [
        _TiledView(splat_arrays=tuple(array[view] for array in arrays), tiles=tiles[view]) for view in range(len(tiles))
    ]


def _add_labels(view: _TiledView, labels: np.ndarray, sums: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    tiles = view.tiles
    per_label = sums[0]
    with KERNEL_LOCK:
        counts, tables, places = contributions.local_labels(
            labels, per_label.shape[1], tiles.tiles_x, tiles.offsets.shape[0] - 1
        )
        tile_rows = np.zeros(tiles.offsets.shape[0], np.int64)
        np.cumsum(np.diff(tiles.offsets) * counts, out=tile_rows[1:])
        row_sums = np.empty(int(tile_rows[-1]), np.float32)
        slot_row = np.empty(tiles.slot_count, np.int64)
        slot_total = np.empty(tiles.slot_count, np.float32)
        slot_pixels = np.empty(tiles.slot_count, np.int32)
        contributions.sum_by_label(
            *view.splat_arrays, tiles.tiles_x, tiles.offsets, tiles.entries, tiles.spans, tiles.slots,
            places, counts, tile_rows, slot_row, slot_total, slot_pixels, row_sums,
        )  # fmt: skip
        contributions.gather_labels(
            tiles.first_slot, tiles.touched, tiles.slot_tile, slot_row, slot_total, slot_pixels, row_sums,
            counts, tables, *sums,
        )  # fmt: skip
