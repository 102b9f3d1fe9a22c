"""Spans of the tile lists: no pixel that a splat can reach is left out, however thin or large its ellipse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision3d.rendering.kernels.constants import ALPHA_MIN, STRIP, TILE
from vision3d.rendering.tile_lists import TileLists, list_tiles

WIDTH, HEIGHT = 72, 56


def conic_of(sigma_long: float, sigma_short: float, angle: float) -> np.ndarray:
    """Inverse covariance (xx, xy, yy) of an ellipse with these deviations in pixels, as float32."""
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = rotation @ np.diag([sigma_long**2, sigma_short**2]) @ rotation.T
    inverse = np.linalg.inv(covariance)
    return np.array([inverse[0, 0], inverse[0, 1], inverse[1, 1]], np.float32)


def lists_of_one(mean: tuple[float, float], conic: np.ndarray, opacity: float, *, cull: bool = True) -> TileLists:
    """Tile lists of a single splat whose bounding rectangle is the whole image."""
    return list_tiles(
        np.array([mean], np.float32),
        np.full((1, 2), 4 * WIDTH, np.int32),
        np.ones(1, np.float32),
        conic[None],
        np.array([opacity], np.float32),
        width=WIDTH,
        height=HEIGHT,
        cull=cull,
    )


def swept_pixels(tiles: TileLists) -> np.ndarray:
    """Pixels [height width] that compositing visits, of tiles cut at the image border."""
    swept = np.zeros((-(-HEIGHT // TILE) * TILE, -(-WIDTH // TILE) * TILE), bool)
    for tile in range(len(tiles.offsets) - 1):
        for entry in range(tiles.offsets[tile], tiles.offsets[tile + 1]):
            for strip in range(2):
                bits = int(tiles.spans[entry]) >> (16 * strip)
                top, left = tile // tiles.tiles_x * TILE, tile % tiles.tiles_x * TILE + strip * STRIP
                swept[top + (bits & 255) : top + ((bits >> 8) & 255), left : left + STRIP] = True
    return swept[:HEIGHT, :WIDTH]


def reached_pixels(mean: tuple[float, float], conic: np.ndarray, opacity: float) -> np.ndarray:
    """Pixels [height width] where the splat's alpha is at least 1/255, in float64."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    dx, dy = np.float64(np.float32(mean[0])) - x, np.float64(np.float32(mean[1])) - y
    a, b, c = conic.astype(np.float64)
    return opacity * np.exp(-(0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy)) >= float(ALPHA_MIN)


@given(
    mean=st.tuples(st.floats(-60.0, 130.0), st.floats(-60.0, 120.0)),
    sigma_long=st.floats(0.55, 400.0),
    thinness=st.floats(1.0, 300.0),
    angle=st.floats(0.0, 3.15),
    opacity=st.floats(0.004, 1.0),
)
def test_every_reached_pixel_is_swept(
    mean: tuple[float, float], sigma_long: float, thinness: float, angle: float, opacity: float
) -> None:
    # 0.55 is the deviation of the low-pass filter alone: no projected splat is thinner.
    conic = conic_of(sigma_long, max(0.55, sigma_long / thinness), angle)
    missed = reached_pixels(mean, conic, opacity) & ~swept_pixels(lists_of_one(mean, conic, opacity))
    assert not missed.any()


def test_sweep_is_tight() -> None:
    # A thin diagonal: strips of 8 columns cut about a parallelogram out of the band, so that at most the band's height
    # in 8 columns plus two rows is visited: (2 x 3.3 sigma x sqrt 2 + 8 + 2) rows per 8 columns.
    mean, conic = (36.0, 28.0), conic_of(60.0, 1.0, np.pi / 4)
    swept = swept_pixels(lists_of_one(mean, conic, 0.9))
    band = 2.0 * np.sqrt(2.0 * np.log(0.9 * 255.0)) * np.sqrt(2.0)
    assert reached_pixels(mean, conic, 0.9).any()
    assert swept.sum(0).max() <= band + STRIP + 2
    assert swept.mean() < 0.5


def test_tiles_outside_the_ellipse_are_kept_only_on_request() -> None:
    mean, conic = (8.0, 8.0), conic_of(2.0, 2.0, 0.0)
    assert lists_of_one(mean, conic, 0.9).entries.size == 1
    everything = lists_of_one(mean, conic, 0.9, cull=False)
    assert everything.entries.size == -(-WIDTH // TILE) * -(-HEIGHT // TILE)
    assert np.count_nonzero(everything.spans) == 1


@pytest.mark.parametrize("mean", [(1e6, 28.0), (36.0, -1e6)])
def test_far_away_splats_reach_nothing(mean: tuple[float, float]) -> None:
    assert not swept_pixels(lists_of_one(mean, conic_of(400.0, 1.0, 0.3), 0.9)).any()
