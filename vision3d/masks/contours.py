"""`ContourProposer`: masks from what a small network sees in a photo, the embedded default.

A watershed on the finest borders gives small regions. Neighbours are merged, the surest pair first: by the border
between them for the fine level; by border, kind and middle together for objects; by the borders of groups for what
stands in one another. So the levels are nested by construction.

Source: a hierarchy of watershed regions (Arbelaez et al., PAMI 2011) with a learned rule for pairs of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Int16, UInt8
from numpy import ndarray
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed

from vision3d.errors import InvalidInputError
from vision3d.masks.contour_network import ContourMaps, contour_maps, load_contour_network
from vision3d.masks.region_graph import RegionGraph
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
    apart_threshold: float = 0.5
    """Neighbours that are apart with less than this probability are one mask, at every level."""
    minimum_pixels: int = 20
    """Smaller regions join the neighbour with the weakest border."""
    longest_side: int = 512
    """Larger photos are looked at in a smaller version."""

    def __post_init__(self) -> None:
        if not (0 < self.quiet < 1 and 0 < self.apart_threshold < 1) or self.minimum_pixels < 1:
            raise InvalidInputError(
                f"ContourSettings: expected thresholds between 0 and 1 and at least 1 pixel, found {self.quiet}, "
                f"{self.apart_threshold} and {self.minimum_pixels}. Change them."
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
        maps = contour_maps(self._network, image, longest_side=self._settings.longest_side)
        return masks_of_maps(maps, self._network.pair_weights.numpy(), self._settings)


def masks_of_maps(
    maps: ContourMaps, pair_weights: Float[ndarray, " feature"], settings: ContourSettings
) -> Int16[ndarray, "level height width"]:
    """Nested label maps: pieces, objects, groups."""
    regions = small_regions(maps.borders[0], settings.quiet)
    fine = RegionGraph(regions, maps).merged(lambda graph, a, b: graph.border(a, b, 0), settings)
    objects = RegionGraph(fine, maps).merged(lambda graph, a, b: graph.apart(a, b, pair_weights), settings)
    groups = RegionGraph(objects, maps).merged(lambda graph, a, b: graph.border(a, b, 2), settings)
    return np.stack([fine, objects, groups]).astype(np.int16)


def small_regions(border: Float[ndarray, "height width"], quiet: float) -> Int[ndarray, "height width"]:
    """Many small basins, each around a place far from borders; numbers from 0.

    Basins are small on purpose: through a gap in a border two large ones would flow together, while small ones on its
    two sides are kept apart by the rest of the border between them.
    """
    smooth = ndimage.gaussian_filter(border, 0.7)
    distance = np.minimum(np.asarray(ndimage.distance_transform_edt(smooth < quiet)), _FARTHEST_PIXELS)
    middle = ndimage.gaussian_filter(distance, 1.0) - 4.0 * smooth
    peaks = middle == ndimage.maximum_filter(middle, size=_SEED_SPACING)
    seeds = label(peaks, connectivity=2)
    return np.unique(watershed(smooth - 0.02 * middle, seeds), return_inverse=True)[1].reshape(border.shape)
