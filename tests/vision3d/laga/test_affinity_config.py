"""Settings of the training: what they give for a scene, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision3d.errors import InvalidInputError
from vision3d.laga.affinity_config import AffinityConfig


def test_blocks_of_the_published_numbers_of_levels() -> None:
    assert AffinityConfig().blocks(3) == (16, 8, 8)
    assert AffinityConfig().blocks(1) == (32,)
    assert AffinityConfig(block_dims=(4, 2)).blocks(2) == (4, 2)


@given(levels=st.integers(2, 17))
def test_blocks_always_share_32_channels_and_the_coarsest_has_half(levels: int) -> None:
    blocks = AffinityConfig().blocks(levels)
    assert (len(blocks), sum(blocks), blocks[0]) == (levels, 32, 16)
    assert max(blocks[1:]) - min(blocks[1:]) <= 1


def test_least_pixels_keep_their_share_of_the_image() -> None:
    config = AffinityConfig()
    assert config.least_pixels(728, 986) == 400
    assert config.least_pixels(728 * 2, 986 * 2) == 1_600
    assert config.least_pixels(64, 64) == 20  # 2.3 by share
    assert AffinityConfig(minimum_pixels=3).least_pixels(728, 986) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps: expected more than 0, found 0"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate: expected more than 0, found nan"),
        ({"pixels_per_step": 0}, "pixels_per_step"),
        ({"minimum_pixels": -1}, "minimum_pixels"),
        ({"block_dims": ()}, "block_dims"),
        ({"block_dims": (4, 0)}, "block_dims"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        AffinityConfig(**settings)  # pyright: ignore[reportArgumentType]


def test_levels_that_do_not_fit_the_blocks_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"each of 2 levels, found \(16, 8, 8\)"):
        AffinityConfig(block_dims=(16, 8, 8)).blocks(2)
    with pytest.raises(InvalidInputError, match="1 to 17 levels, found 18"):
        AffinityConfig().blocks(18)
