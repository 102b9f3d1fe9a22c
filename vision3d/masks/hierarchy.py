"""`HierarchyProposer`: masks from colours alone, without any weights, for pictures unlike what a network learned.

Superpixels of equal colour are merged, the most alike neighbours first, at three cut-offs: so the levels are nested.
It knows no things: what is of several colours comes apart, and neighbours of one colour stay together.

Source: SLIC (Achanta et al. 2012) and hierarchical merging of region adjacency graphs, both from scikit-image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int16, UInt8
from numpy import ndarray
from skimage.color import rgb2lab
from skimage.graph import RAG, merge_hierarchical
from skimage.segmentation import slic

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchySettings:
    """How colours become masks."""

    superpixels: int = 400
    """Regions to start from, about."""
    compactness: float = 10.0
    """Of the superpixels: higher ones are rounder, lower ones follow colours."""
    colour_distances: tuple[float, float, float] = (6.0, 11.0, 18.0)
    """Neighbours nearer than this in CIELAB are one mask; for the finest level first."""

    def __post_init__(self) -> None:
        rising = tuple(sorted(self.colour_distances)) == tuple(self.colour_distances)
        if self.superpixels < 1 or self.compactness <= 0 or not rising or self.colour_distances[0] <= 0:
            raise InvalidInputError(
                f"HierarchySettings: expected at least 1 superpixel, a positive compactness and positive, rising "
                f"distances, found {self.superpixels}, {self.compactness} and {self.colour_distances}. Change them."
            )


class HierarchyProposer:
    """Colours, with settings."""

    level_names = ("s", "m", "l")

    def __init__(self, settings: HierarchySettings = HierarchySettings()) -> None:
        self._settings = settings

    @property
    def proposer_id(self) -> str:
        """Name and settings."""
        return f"hierarchy/{self._settings}"

    def propose(self, image: UInt8[ndarray, "height width 3"]) -> Int16[ndarray, "level height width"]:
        """Nested label maps, the finest first; every pixel belongs to a mask at every level."""
        settings = self._settings
        colours = np.asarray(rgb2lab(image), np.float64)
        regions = np.asarray(
            slic(image, n_segments=settings.superpixels, compactness=settings.compactness, start_label=0)
        )
        regions, levels = _numbered(regions), []
        for distance in settings.colour_distances:
            regions = merged_by_colour(regions, colours, distance)
            levels.append(regions)
        return np.stack(levels).astype(np.int16)


def merged_by_colour(
    regions: Int[ndarray, "height width"], colours: Float[ndarray, "height width 3"], distance: float
) -> Int[ndarray, "height width"]:
    """Regions after neighbours whose mean colours are nearer than `distance` were joined, the nearest first."""
    graph = RAG(regions, connectivity=2)
    flat, counts = regions.ravel(), np.bincount(regions.ravel())
    sums = np.stack([np.bincount(flat, colours[..., channel].ravel()) for channel in range(3)], axis=1)
    for number in graph:
        graph.nodes[number].update(labels=[number], sum=sums[number], count=counts[number])
    for one, other in graph.edges:
        graph.edges[one, other]["weight"] = _apart(graph, one, other)
    if graph.number_of_edges() == 0:
        return regions
    return _numbered(
        merge_hierarchical(
            regions, graph, thresh=distance, rag_copy=False, in_place_merge=True,
            merge_func=_join, weight_func=lambda graph, one, other, near: {"weight": _apart(graph, other, near)},
        )
    )  # fmt: skip


def _apart(graph: RAG, one: int, other: int) -> float:
    first, second = graph.nodes[one], graph.nodes[other]
    return float(np.linalg.norm(first["sum"] / first["count"] - second["sum"] / second["count"]))


def _join(graph: RAG, source: int, target: int) -> None:
    graph.nodes[target]["sum"] = graph.nodes[target]["sum"] + graph.nodes[source]["sum"]
    graph.nodes[target]["count"] += graph.nodes[source]["count"]


def _numbered(regions: ndarray) -> Int[ndarray, "height width"]:
    return np.unique(regions, return_inverse=True)[1].reshape(regions.shape)
