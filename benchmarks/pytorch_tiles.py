"""`render_with_pytorch`: the yardstick, a tile renderer in PyTorch operations with autograd's own backward.

Tiles of similar length are padded and rendered together; all Gaussians are gathered once. Blending comes in two forms.
`blend_directly` writes the formulas down pair by pair, as one does. `blend_by_products` is tuned: the exponent of a
splat-pixel pair is a matrix product of six numbers per splat with six per pixel, and transmittance is a running sum
of logarithms, which autograd differentiates with fewer and cheaper steps. The tile lists come from the package, so
that all sides blend the same pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.rendering.cpu_autograd import as_array
from vision3d.rendering.kernels.constants import TILE, TILE_PIXELS
from vision3d.rendering.renderer import ALPHA_MAX, ALPHA_MIN, EXTENT_SIGMAS_MAX, TRANSMITTANCE_MIN, Splats
from vision3d.rendering.tile_lists import TileLists, list_tiles

_NEAR = 0.01
_LOW_PASS = 0.3
_GUARD_BAND = 0.3
_PAIRS_PER_BATCH = 1 << 19
"""Splat-pixel pairs rendered together; fits the cache better than one batch of everything."""
_PADDING_SHARE = 0.15
"""A batch takes tiles at most this much shorter than its longest."""
_TINY = 1e-37
"""Opacity of padding, small enough to be skipped everywhere."""

Blend = Callable[[Tensor, Tensor], Tensor]
"""(rows [tile place number], pixel x and y [2 pixel]) -> channels [tile pixel dim]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Projected:
    means2d: Float[Tensor, "gaussian 2"]
    conics: Float[Tensor, "gaussian 3"]
    depths: Float[Tensor, " gaussian"]
    radii: Int[Tensor, "gaussian 2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batches:
    """Which tiles are rendered together, and the entry of every padded place (the number of entries = padding)."""

    tiles: tuple[Int[Tensor, " tile"], ...]
    places: tuple[Int[Tensor, "tile place"], ...]


def render_with_pytorch(
    splats: Splats, camera: CameraBatch, channels: Float[Tensor, "gaussian dim"], blend: Blend
) -> Float[Tensor, "height width dim"]:
    """Composited channels of one view over background 0; differentiable in splats and channels."""
    width, height = camera.uniform_size
    projected = _project(splats, camera)
    tiles = list_tiles(
        as_array(projected.means2d), as_array(projected.radii), as_array(projected.depths),
        as_array(projected.conics), as_array(splats.opacities), width=width, height=height,
    )  # fmt: skip
    batches = _batches(torch.from_numpy(tiles.offsets))
    place = torch.arange(TILE_PIXELS)
    pixels = torch.stack([place % TILE, torch.div(place, TILE, rounding_mode="floor")]) + 0.5 - TILE // 2
    pieces = [blend(rows, pixels) for rows in _gather(projected, splats.opacities, channels, tiles, batches)]
    tiles_x, tiles_y, dims = tiles.tiles_x, -(-height // TILE), channels.shape[1]
    image = channels.new_zeros(tiles_x * tiles_y, TILE_PIXELS, dims)
    if pieces:
        image = image.index_copy(0, torch.cat(batches.tiles), torch.cat(pieces))
    image = image.view(tiles_y, tiles_x, TILE, TILE, dims).permute(0, 2, 1, 3, 4)
    return image.reshape(tiles_y * TILE, tiles_x * TILE, dims)[:height, :width]


def _project(splats: Splats, camera: CameraBatch) -> _Projected:
    rotation, translation = camera.world_to_camera[0, :3, :3], camera.world_to_camera[0, :3, 3]
    intrinsics = camera.intrinsics[0]
    focal, principal = intrinsics.diagonal()[:2], intrinsics[:2, 2]
    size = torch.tensor(camera.uniform_size, dtype=torch.float32)
    points = torch.addmm(translation, splats.means, rotation.T)
    depths = points[:, 2]
    slopes = points[:, :2] / depths.clamp_min(_NEAR)[:, None]
    margin = _GUARD_BAND * 0.5 * size / focal
    clamped = torch.clamp(slopes, -(principal / focal + margin), (size - principal) / focal + margin)
    axes = (rotation @ _rotations(splats.quats)) * splats.scales[:, None]
    jacobian = (focal / depths.clamp_min(_NEAR)[:, None])[..., None] * (axes[:, :2] - clamped[..., None] * axes[:, 2:])
    xx = jacobian[:, 0].square().sum(-1) + _LOW_PASS
    yy = jacobian[:, 1].square().sum(-1) + _LOW_PASS
    xy = (jacobian[:, 0] * jacobian[:, 1]).sum(-1)
    conics = torch.stack([yy, -xy, xx], -1) / (xx * yy - xy * xy)[:, None]
    means2d = focal * slopes + principal
    with torch.no_grad():
        sigmas = torch.sqrt(2.0 * torch.log((splats.opacities / ALPHA_MIN).clamp_min(1.0)))
        reach = torch.ceil(sigmas.clamp_max(EXTENT_SIGMAS_MAX)[:, None] * torch.stack([xx, yy], -1).sqrt())
        drawn = (depths >= _NEAR) & (splats.opacities >= ALPHA_MIN) & _inside(means2d, reach, size)
    return _Projected(means2d=means2d, conics=conics, depths=depths, radii=(reach * drawn[:, None]).int())


def _inside(
    means2d: Float[Tensor, "gaussian 2"], reach: Float[Tensor, "gaussian 2"], size: Float[Tensor, " 2"]
) -> Bool[Tensor, " gaussian"]:
    return ((means2d + reach > 0) & (means2d - reach < size)).all(-1)


def _rotations(quats: Float[Tensor, "gaussian 4"]) -> Float[Tensor, "gaussian 3 3"]:
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).view(-1, 3, 3)


def _batches(offsets: Int[Tensor, " tile_plus_one"]) -> _Batches:
    lengths = offsets[1:] - offsets[:-1]
    order = torch.argsort(lengths, descending=True)
    sorted_lengths = lengths[order].tolist()
    tiles, places = [], []
    first = 0
    while first < len(order) and sorted_lengths[first] > 0:
        longest = sorted_lengths[first]
        most = max(1, _PAIRS_PER_BATCH // (longest * TILE_PIXELS))
        shortest = (1.0 - _PADDING_SHARE) * longest - 1.0
        stop = first + 1
        while stop < min(first + most, len(order)) and sorted_lengths[stop] >= max(shortest, 1.0):
            stop += 1
        chosen = order[first:stop]
        place = torch.arange(longest)
        entries = offsets[chosen, None] + place
        tiles.append(chosen)
        places.append(torch.where(place < lengths[chosen, None], entries, offsets[-1]))
        first = stop
    return _Batches(tiles=tuple(tiles), places=tuple(places))


def _gather(
    projected: _Projected,
    opacities: Float[Tensor, " gaussian"],
    channels: Float[Tensor, "gaussian dim"],
    tiles: TileLists,
    batches: _Batches,
) -> tuple[Float[Tensor, "tile place number"], ...]:
    """Mean from the tile's middle, conic, opacity and channels of every padded place, per batch."""
    table = torch.cat([projected.means2d, projected.conics, opacities[:, None], channels], -1)
    empty = torch.zeros(1, table.shape[1])
    empty[0, 5] = _TINY
    entries = torch.from_numpy(tiles.entries).long()
    gaussians = torch.cat([entries, torch.tensor([len(table)])])
    rows = torch.cat([table, empty]).index_select(
        0, gaussians[torch.cat([places.flatten() for places in batches.places])]
    )
    tile = torch.cat([t.repeat_interleave(p.shape[1]) for t, p in zip(batches.tiles, batches.places, strict=True)])
    middle = torch.stack([tile % tiles.tiles_x, torch.div(tile, tiles.tiles_x, rounding_mode="floor")], -1) * TILE
    rows = torch.cat([rows[:, :2] - (middle + TILE // 2), rows[:, 2:]], -1)
    pieces = rows.split([p.numel() for p in batches.places])
    return tuple(piece.view(*p.shape, -1) for piece, p in zip(pieces, batches.places, strict=True))


def blend_directly(
    rows: Float[Tensor, "tile place number"], pixels: Float[Tensor, "2 pixel"]
) -> Float[Tensor, "tile pixel dim"]:
    """Channels of each pixel, by the formulas as they are written."""
    dx, dy = rows[..., 0, None] - pixels[0], rows[..., 1, None] - pixels[1]
    a, b, c = rows[..., 2, None], rows[..., 3, None], rows[..., 4, None]
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (rows[..., 5, None] * torch.exp(-sigma)).clamp_max(ALPHA_MAX)
    alpha = torch.nn.functional.threshold(alpha, ALPHA_MIN, 0.0)
    after = torch.cumprod(1.0 - alpha, 1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], 1)
    weights = alpha * before * (after.detach() > TRANSMITTANCE_MIN)
    return weights.transpose(1, 2) @ rows[..., 6:]


def blend_by_products(
    rows: Float[Tensor, "tile place number"], pixels: Float[Tensor, "2 pixel"]
) -> Float[Tensor, "tile pixel dim"]:
    """The same channels with the exponent as a matrix product and transmittance as a sum of logarithms."""
    x, y = pixels
    powers = torch.stack([x * x, x * y, y * y, x, y, torch.ones_like(x)])
    mx, my, a, b, c, opacity = rows[..., :6].unbind(-1)
    pull_x, pull_y = a * mx + b * my, b * mx + c * my
    at_middle = opacity.log() - 0.5 * (mx * pull_x + my * pull_y)
    coefficients = torch.stack([-0.5 * a, -b, -0.5 * c, pull_x, pull_y, at_middle], -1)
    alpha = torch.exp(coefficients @ powers).clamp_max(ALPHA_MAX)
    alpha = torch.nn.functional.threshold(alpha, ALPHA_MIN, 0.0)
    logs = torch.log1p(-alpha)
    sums = logs.cumsum(1)
    weights = alpha * torch.exp(sums - logs) * (sums.detach() > math.log(TRANSMITTANCE_MIN))
    return weights.transpose(1, 2) @ rows[..., 6:]
