"""`ContourProposer`: masks from the borders that a small network sees, the embedded default.

A watershed on the finest borders gives regions; neighbours are then merged in the order of the mean border between
them, first by the borders of objects, then by those of groups. So the levels are nested by construction.

Source: the hierarchy is that of oriented watersheds and contour maps (Arbelaez et al., PAMI 2011) on learned borders.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int16, UInt8
from numpy import ndarray
from scipy import ndimage
from skimage.segmentation import watershed

from vision3d.errors import InvalidInputError
from vision3d.masks.contour_network import border_maps, load_contour_network
from vlm_bridge.assets import asset_path
from vlm_bridge.file_hashes import file_sha256

EMBEDDED_NETWORK = "contours"
_FARTHEST_PIXELS = 8.0
_SEED_SPACING = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class ContourSettings:
    """How borders become masks."""

    quiet: float = 0.3
    """Regions start far from places with a border probability above this."""
    border_threshold: float = 0.5
    """Neighbours whose mean border stays below this are one mask, at every level."""
    minimum_pixels: int = 20
    """Smaller regions join the neighbour with the weakest border."""
    longest_side: int = 512
    """Larger photos are looked at in a smaller version."""

    def __post_init__(self) -> None:
        if not (0 < self.quiet < 1 and 0 < self.border_threshold < 1) or self.minimum_pixels < 1:
            raise InvalidInputError(
                f"ContourSettings: expected thresholds between 0 and 1 and at least 1 pixel, found {self.quiet}, "
                f"{self.border_threshold} and {self.minimum_pixels}. Change them."
            )


class ContourProposer:
    """The network with its settings."""

    level_names = ("s", "m", "l")

    def __init__(self, weights: Path | None = None, settings: ContourSettings = ContourSettings()) -> None:
        """Load the network; None takes the embedded one.

        Raises:
            ModelFileError: the weights are missing or of something else.
        """
        path = weights or asset_path(EMBEDDED_NETWORK) / "contours.safetensors"
        self._network = load_contour_network(path)
        self._settings = settings
        self._digest = file_sha256(path)[:16]

    @property
    def proposer_id(self) -> str:
        """Name, digest of the weights and settings."""
        return f"contours/{self._digest}/{self._settings}"

    def propose(self, image: UInt8[ndarray, "height width 3"]) -> Int16[ndarray, "level height width"]:
        """Pieces, objects and groups of one photo; every pixel belongs to a mask at every level."""
        maps = border_maps(self._network, image, longest_side=self._settings.longest_side)
        return masks_of_borders(maps, self._settings)


def masks_of_borders(
    maps: Float[ndarray, "level height width"], settings: ContourSettings
) -> Int16[ndarray, "level height width"]:
    """Nested label maps from border probabilities."""
    regions = _regions(maps[0], settings.quiet)
    levels = []
    for border in maps:
        graph = _border_graph(regions, border)
        regions = merged_regions(regions, graph, settings.border_threshold, settings.minimum_pixels)
        levels.append(regions)
    return np.stack(levels).astype(np.int16)


def merged_regions(
    regions: Int[ndarray, "height width"],
    graph: dict[tuple[int, int], tuple[float, int]],
    threshold: float,
    minimum_pixels: int,
) -> Int[ndarray, "height width"]:
    """Regions after merging neighbours by the mean border between them, weakest first, then the small ones.

    Args:
        regions: numbers from 0, every pixel in one.
        graph: (region, region) with the first smaller -> (sum of border probabilities, number of pixel pairs).
        threshold: pairs below this mean are merged.
        minimum_pixels: regions smaller than this are merged whatever their borders are.
    """
    sizes = np.bincount(regions.ravel()).astype(np.int64)
    merger = _Merger(graph, sizes)
    merger.run(lambda mean, a, b: mean < threshold)
    merger.run(lambda mean, a, b: min(merger.sizes[a], merger.sizes[b]) < minimum_pixels)
    roots = np.array([merger.root(region) for region in range(len(sizes))])
    return np.unique(roots, return_inverse=True)[1][regions]


class _Merger:
    """Regions under merging; the state is the partition and the borders between its parts."""

    def __init__(self, graph: dict[tuple[int, int], tuple[float, int]], sizes: ndarray) -> None:
        self.sizes = sizes
        self._parent = list(range(len(sizes)))
        self._near: list[dict[int, tuple[float, int]]] = [{} for _ in sizes]
        for (a, b), value in graph.items():
            self._near[a][b] = self._near[b][a] = value

    def root(self, region: int) -> int:
        """The region that `region` is part of by now."""
        while self._parent[region] != region:
            self._parent[region] = self._parent[self._parent[region]]
            region = self._parent[region]
        return region

    def run(self, allowed: Any) -> None:
        """Merge the pair with the weakest mean border again and again, as long as it is allowed."""
        heap = [(s / n, a, b) for a, near in enumerate(self._near) for b, (s, n) in near.items() if a < b]
        heapq.heapify(heap)
        while heap:
            mean, a, b = heapq.heappop(heap)
            value = self._near[a].get(b) if self._parent[a] == a and self._parent[b] == b else None
            if value is None or value[0] / value[1] != mean or not allowed(mean, a, b):
                continue
            for other in self._join(a, b):
                s, n = self._near[a][other]
                heapq.heappush(heap, (s / n, min(a, other), max(a, other)))

    def _join(self, a: int, b: int) -> list[int]:
        """Make b part of a; returns a's neighbours, whose borders have changed."""
        self._parent[b] = a
        self.sizes[a] += self.sizes[b]
        for other, (s, n) in self._near[b].items():
            del self._near[other][b]
            if other != a:
                own_s, own_n = self._near[a].get(other, (0.0, 0))
                self._near[a][other] = self._near[other][a] = (own_s + s, own_n + n)
        self._near[b] = {}
        self._near[a].pop(b, None)
        return list(self._near[a])


def _regions(border: Float[ndarray, "height width"], quiet: float) -> Int[ndarray, "height width"]:
    """Many small basins, each around a place far from borders; numbers from 0.

    Basins are small on purpose: through a gap in a border two large ones would flow together, while small ones on its
    two sides are kept apart by the rest of the border between them.
    """
    smooth = ndimage.gaussian_filter(border, 0.7)
    distance = np.minimum(ndimage.distance_transform_edt(smooth < quiet), _FARTHEST_PIXELS)
    middle = ndimage.gaussian_filter(distance, 1.0) - 4.0 * smooth
    peaks = middle == ndimage.maximum_filter(middle, size=_SEED_SPACING)
    seeds, _ = ndimage.label(peaks, structure=np.ones((3, 3)))
    return np.unique(watershed(smooth - 0.02 * middle, seeds), return_inverse=True)[1].reshape(border.shape)


def _border_graph(
    regions: Int[ndarray, "height width"], border: Float[ndarray, "height width"]
) -> dict[tuple[int, int], tuple[float, int]]:
    """Pairs of touching regions with the sum of border probabilities at their pixel pairs, and the number of pairs."""
    firsts, seconds, values = [], [], []
    for one, other in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1),), (slice(1, None),)),
    ):
        a, b = regions[one].ravel(), regions[other].ravel()
        apart = a != b
        firsts.append(np.minimum(a, b)[apart])
        seconds.append(np.maximum(a, b)[apart])
        values.append(np.maximum(border[one].ravel(), border[other].ravel())[apart])
    first, second, value = (np.concatenate(part) for part in (firsts, seconds, values))
    count = int(regions.max()) + 1
    keys, place = np.unique(first.astype(np.int64) * count + second, return_inverse=True)
    sums, pairs = np.bincount(place, weights=value), np.bincount(place)
    return {
        (int(key // count), int(key % count)): (float(total), int(number))
        for key, total, number in zip(keys, sums, pairs, strict=True)
    }
