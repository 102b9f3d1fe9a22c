"""`TileLists`: the splats of each 16x16 tile in depth order, and the slots their gradients go to (one view)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from vision3d.rendering.kernels import binning
from vision3d.rendering.kernels.constants import TILE


@dataclass(frozen=True, slots=True, kw_only=True)
class TileLists:
    """Tile lists of one view; see `kernels/binning.py` for what a slot is."""

    tiles_x: int
    """Tiles per row; tile = row * tiles_x + column."""
    offsets: NDArray[np.int64]
    """Start of each tile's entries [tile + 1]."""
    entries: NDArray[np.int32]
    """Gaussian of each entry, nearest first inside a tile."""
    slots: NDArray[np.int32]
    """Slot of each entry."""
    spans: NDArray[np.int32]
    """Rows where the entry's alpha can reach 1/255, a byte each: first and end of the left strip, then of the right."""
    first_slot: NDArray[np.int64]
    """First slot of each Gaussian [gaussian + 1]; the last value is the number of slots."""
    touched: NDArray[np.int32]
    """Slots of each Gaussian in use."""
    slot_tile: NDArray[np.int32]
    """Tile of each used slot."""

    @property
    def slot_count(self) -> int:
        """Number of slots, used or not."""
        return int(self.first_slot[-1])


def list_tiles(
    means2d: NDArray[np.float32],
    radii: NDArray[np.int32],
    depths: NDArray[np.float32],
    conics: NDArray[np.float32],
    opacities: NDArray[np.float32],
    *,
    width: int,
    height: int,
    cull: bool = True,
) -> TileLists:
    """Tile lists of projected splats (arrays as in `Projection`, one view).

    Args:
        cull: leave out tiles of the bounding rectangle that the ellipse itself misses. The image is bitwise the same.
    """
    tiles_x, tiles_y = -(-width // TILE), -(-height // TILE)
    count = means2d.shape[0]
    rectangles = np.empty(count, np.int64)
    binning.count_rectangles(means2d, radii, tiles_x, tiles_y, rectangles)
    first_slot = np.zeros(count + 1, np.int64)
    np.cumsum(rectangles, out=first_slot[1:])
    slot_tile = np.empty(int(first_slot[-1]), np.int32)
    touched = np.empty(count, np.int32)
    slot_spans = np.empty(int(first_slot[-1]), np.int32)
    binning.list_touched_tiles(
        means2d, radii, conics, opacities, tiles_x, tiles_y, cull, first_slot, slot_tile, slot_spans, touched
    )
    offsets = binning.tile_offsets(first_slot, touched, slot_tile, tiles_x * tiles_y)
    entries = np.empty(int(offsets[-1]), np.int32)
    slots = np.empty(int(offsets[-1]), np.int32)
    spans = np.empty(int(offsets[-1]), np.int32)
    order = binning.depth_order(depths, touched)
    shares = get_num_threads()
    binning.fill_tiles(order, first_slot, touched, slot_tile, slot_spans, offsets, shares, entries, slots, spans)
    return TileLists(
        tiles_x=tiles_x,
        offsets=offsets,
        entries=entries,
        slots=slots,
        spans=spans,
        first_slot=first_slot,
        touched=touched,
        slot_tile=slot_tile,
    )
