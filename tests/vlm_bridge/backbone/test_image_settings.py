"""Image settings of a checkpoint: read as written, in each layout, and refused where pictures are cut otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_bridge.backbone.image_settings import read_tiling, write_image_settings
from vlm_bridge.errors import BackboneError
from vlm_bridge.images.tile_batch import IMAGENET_MEAN, TilingConfig

_channels = st.tuples(*[st.floats(0.1, 1)] * 3)


@given(side=st.integers(1, 999), tiles=st.tuples(st.integers(1, 20), st.integers(1, 20)), mean=_channels, std=_channels)
def test_read_what_was_written(side: int, tiles: tuple[int, int], mean: tuple, std: tuple) -> None:
    import tempfile

    tiling = TilingConfig(tile_size=side, min_tiles=min(tiles), max_tiles=max(tiles), mean=mean, std=std)
    with tempfile.TemporaryDirectory() as folder:
        write_image_settings(tiling, 256, Path(folder))
        settings = json.loads((Path(folder) / "preprocessor_config.json").read_text())
    assert read_tiling(settings, "here") == tiling
    assert read_tiling({"image_processor": settings}, "here") == tiling


def test_settings_of_a_published_checkpoint() -> None:
    """What InternVL3-1B-hf says; its `crop_to_patches` is false because the processor switches it on."""
    settings = {
        "crop_to_patches": False, "image_processor_type": "GotOcr2ImageProcessorFast", "max_patches": 12,
        "min_patches": 1, "resample": 3, "image_mean": list(IMAGENET_MEAN), "image_std": [0.229, 0.224, 0.225],
        "size": {"height": 448, "width": 448},
    }  # fmt: skip
    assert read_tiling(settings, "here") == TilingConfig()
    assert read_tiling({"size": 448}, "here") == TilingConfig()


@pytest.mark.parametrize(
    "change",
    [
        {"size": {"height": 448, "width": 224}},
        {"size": {"shortest_edge": 448}},
        {"size": None},
        {"resample": 2},
        {"do_normalize": False},
        {"do_rescale": False},
        {"image_mean": [0.5]},
        {"image_std": "imagenet"},
        {"max_patches": 0},
        {"min_patches": "few"},
    ],
)
def test_other_ways_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BackboneError, match="here"):
        read_tiling({"size": 448} | change, "here")
