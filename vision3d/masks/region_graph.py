"""`RegionGraph`: regions of a photo, what is known of each and of the borders between them, and their merging."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from vision3d.masks.contour_network import ContourMaps

PAIR_FEATURES = ("bias", "object border", "group border", "middles apart", "kinds alike", "thing and room")
"""What the rule for pairs looks at; log-odds for borders."""
_CLIP = 1e-3


class RegionGraph:
    """Regions under merging: sums over their pixels, and over the pixel pairs of each border."""

    def __init__(self, regions: Int[ndarray, "height width"], maps: ContourMaps) -> None:
        """Gather the sums; regions are numbered from 0 without gaps."""
        self._regions = regions
        count = int(regions.max()) + 1
        flat = regions.ravel()
        y, x = np.indices(regions.shape)
        columns = [
            np.ones(flat.shape),
            maps.thing.ravel(),
            (x + maps.offsets[0]).ravel(),
            (y + maps.offsets[1]).ravel(),
        ]
        columns += [kind.ravel() for kind in maps.kinds]
        self._sums = np.stack([np.bincount(flat, weights=column, minlength=count) for column in columns], 1)
        self._parent = list(range(count))
        self._near: list[dict[int, ndarray]] = [{} for _ in range(count)]
        for a, b, values in _borders(regions, maps.borders):
            self._near[a][b] = self._near[b][a] = values

    def border(self, a: int, b: int, level: int) -> float:
        """Mean probability of a border of this level between two neighbours."""
        values = self._near[a][b]
        return float(values[1 + level] / values[0])

    def features(self, a: int, b: int) -> Float[ndarray, " feature"]:
        """What the rule for pairs looks at, as in `PAIR_FEATURES`."""
        one, other = (self._sums[region] / self._sums[region, 0] for region in (a, b))
        size = np.sqrt(self._sums[a, 0] + self._sums[b, 0])
        middles = np.hypot(one[2] - other[2], one[3] - other[3]) / size
        alike = np.sqrt(np.clip(one[4:], 0, 1) * np.clip(other[4:], 0, 1)).sum()
        object_border, group_border = (np.clip(self.border(a, b, level), _CLIP, 1 - _CLIP) for level in (1, 2))
        return np.array(
            [
                1.0,
                np.log(object_border / (1 - object_border)),
                np.log(group_border / (1 - group_border)),
                min(middles, 2.0),
                alike,
                abs(one[1] - other[1]),
            ]
        )

    def apart(self, a: int, b: int, weights: Float[ndarray, " feature"]) -> float:
        """Probability that two neighbours belong to different objects."""
        return float(1 / (1 + np.exp(-self.features(a, b) @ weights)))

    def neighbours(self) -> list[tuple[int, int]]:
        """All pairs of neighbours, the smaller number first."""
        return [(a, b) for a, near in enumerate(self._near) for b in near if a < b]

    def merged(
        self, cost: Callable[[RegionGraph, int, int], float], *, apart_threshold: float, minimum_pixels: int = 1
    ) -> Int[ndarray, "height width"]:
        """Regions after merging the pair of least cost again and again, then the small ones; numbered from 0.

        Args:
            cost: of merging two neighbours.
            apart_threshold: pairs of this cost or more stay apart.
            minimum_pixels: smaller regions are merged with a neighbour whatever it costs.
        """
        self._run(cost, lambda value, a, b: value < apart_threshold)
        self._run(cost, lambda value, a, b: min(self._sums[a, 0], self._sums[b, 0]) < minimum_pixels)
        roots = np.array([self.root(region) for region in range(len(self._parent))])
        return np.unique(roots, return_inverse=True)[1][self._regions]

    def root(self, region: int) -> int:
        """The region that `region` is part of by now."""
        while self._parent[region] != region:
            self._parent[region] = self._parent[self._parent[region]]
            region = self._parent[region]
        return region

    def join(self, a: int, b: int) -> None:
        """Make b part of a."""
        self._parent[b] = a
        self._sums[a] += self._sums[b]
        for other, values in self._near[b].items():
            del self._near[other][b]
            if other != a:
                joined = values + self._near[a][other] if other in self._near[a] else values
                self._near[a][other] = self._near[other][a] = joined
        self._near[b] = {}

    def _run(self, cost: Callable[[RegionGraph, int, int], float], allowed: Callable[[float, int, int], bool]) -> None:
        heap = [(cost(self, a, b), a, b) for a, b in self.neighbours()]
        heapq.heapify(heap)
        current = {(a, b): value for value, a, b in heap}
        while heap:
            value, a, b = heapq.heappop(heap)
            if current.get((a, b)) != value or b not in self._near[a] or not allowed(value, a, b):
                continue
            self.join(a, b)
            for other in self._near[a]:
                pair = (min(a, other), max(a, other))
                current[pair] = cost(self, *pair)
                heapq.heappush(heap, (current[pair], *pair))


def _borders(
    regions: Int[ndarray, "height width"], borders: Float[ndarray, "level height width"]
) -> list[tuple[int, int, Float[ndarray, " value"]]]:
    """Touching regions with the number of their pixel pairs and the sums of the border probabilities at these."""
    firsts, seconds, values = [], [], []
    right = ((slice(None), slice(None, -1)), (slice(None), slice(1, None)))
    below = ((slice(None, -1), slice(None)), (slice(1, None), slice(None)))
    for one, other in (right, below):
        a, b = regions[one].ravel(), regions[other].ravel()
        apart = a != b
        firsts.append(np.minimum(a, b)[apart])
        seconds.append(np.maximum(a, b)[apart])
        pair = np.maximum(borders[(slice(None), *one)], borders[(slice(None), *other)])
        values.append(pair.reshape(len(borders), -1)[:, apart])
    count = int(regions.max()) + 1
    keys, place = np.unique(
        np.concatenate(firsts).astype(np.int64) * count + np.concatenate(seconds), return_inverse=True
    )
    together = np.concatenate(values, 1)
    sums = np.stack([np.bincount(place), *(np.bincount(place, weights=row) for row in together)], 1)
    return [(int(key // count), int(key % count), row) for key, row in zip(keys, sums, strict=True)]
