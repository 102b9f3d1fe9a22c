"""`ContourProposer`: masks from what a small network sees in a photo, the embedded default.

A watershed on the finest borders gives small regions. Neighbours are merged, the surest pair first, as long as border,
kind and middle together say that they may be one thing; a finer level stops earlier than a coarser one. So the levels
are nested by construction.

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
    apart_thresholds: tuple[float, float, float] = (0.05, 0.2, 0.5)
    """Neighbours that are two things with less than this probability are one mask; for the finest level first."""
    minimum_pixels: int = 20
    """Smaller regions join the neighbour with the weakest border."""
    longest_side: int = 512
    """Larger photos are looked at in a smaller version."""
    enlarged: float = 1.5
    """Small photos are looked at this much enlarged, up to `longest_side`."""

    def __post_init__(self) -> None:
        rising = sorted(self.apart_thresholds)
        shares = (self.quiet, *self.apart_thresholds)
        if not all(0 < share < 1 for share in shares) or list(self.apart_thresholds) != rising:
            raise InvalidInputError(
                f"ContourSettings: expected thresholds between 0 and 1, rising from level to level, found {self.quiet} "
                f"and {self.apart_thresholds}. Change them."
            )
        if self.minimum_pixels < 1 or self.longest_side < 1 or self.enlarged < 1:
            raise InvalidInputError(
                f"ContourSettings: expected at least 1 pixel per mask and per photo and an enlargement of at least 1, "
                f"found {self.minimum_pixels}, {self.longest_side} and {self.enlarged}. Change them."
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
        """Parts, objects and groups of one photo; every pixel belongs to a mask at every level."""
        settings = self._settings
        maps = contour_maps(self._network, image, longest_side=settings.longest_side, enlarged=settings.enlarged)
        return masks_of_maps(maps, self._network.pair_weights.numpy(), settings)


def masks_of_maps(
    maps: ContourMaps, pair_weights: Float[ndarray, " feature"], settings: ContourSettings
) -> Int16[ndarray, "level height width"]:
    """Nested label maps, the finest first."""
    regions, levels = small_regions(maps.borders[0], settings.quiet), []
    for threshold in settings.apart_thresholds:
        regions = RegionGraph(regions, maps).merged(
            lambda graph, a, b: graph.apart(a, b, pair_weights),
            apart_threshold=threshold,
            minimum_pixels=settings.minimum_pixels,
        )
        levels.append(regions)
    return np.stack(levels).astype(np.int16)


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
