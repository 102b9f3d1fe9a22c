"""`preprocessor_config.json`: how a backbone's pictures are cut and normed, as transformers writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm_bridge.backbone.json_files import write_json_object
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.images.tile_batch import TilingConfig

IMAGE_SETTINGS_NAME = "preprocessor_config.json"
PROCESSOR_SETTINGS_NAME = "processor_config.json"
"""What newer versions of transformers write instead, with the image settings inside."""
_BICUBIC = 3


def read_tiling(settings: Mapping[str, Any], place: str) -> TilingConfig:
    """The tiling that `settings`, read from `place`, ask for; also where they are part of processor settings.

    Raises:
        BackboneError: pictures are asked for in another way.
    """
    settings = settings.get("image_processor", settings)
    size = settings.get("size")
    sides = (size.get("height"), size.get("width")) if isinstance(size, Mapping) else (size, size)
    resample = settings.get("resample", _BICUBIC)
    if not isinstance(sides[0], int) or sides[0] != sides[1] or resample != _BICUBIC:
        raise BackboneError(
            f"{place}: expected square tiles with a size in pixels, resized bicubically (resample {_BICUBIC}), found "
            f"size {size} and resample {resample}. This is no backbone of the InternVL family."
        )
    if not settings.get("do_normalize", True) or not settings.get("do_rescale", True):
        raise BackboneError(f"{place}: expected pixels to be rescaled and normed, found them raw. Restore the file.")
    given = {"mean": settings.get("image_mean"), "std": settings.get("image_std")}
    try:
        return TilingConfig(
            tile_size=sides[0],
            min_tiles=int(settings.get("min_patches", 1)),
            max_tiles=int(settings.get("max_patches", 12)),
            **{name: _channels(value) for name, value in given.items() if value is not None},
        )
    except (InvalidInputError, TypeError, ValueError) as error:
        raise BackboneError(f"{place}: expected settings of an image processor, found others: {error}") from error


def write_image_settings(tiling: TilingConfig, tokens_per_tile: int, folder: Path) -> None:
    """Write what transformers' processor needs beside the tokenizer into `folder`."""
    image = {
        "image_processor_type": "GotOcr2ImageProcessor",
        "processor_class": "InternVLProcessor",
        "crop_to_patches": True,
        "min_patches": tiling.min_tiles,
        "max_patches": tiling.max_tiles,
        "size": {"height": tiling.tile_size, "width": tiling.tile_size},
        "resample": _BICUBIC,
        "do_convert_rgb": True,
        "do_resize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(tiling.mean),
        "image_std": list(tiling.std),
    }
    video = {
        "video_processor_type": "InternVLVideoProcessor",
        "processor_class": "InternVLProcessor",
        "size": image["size"],
        "resample": _BICUBIC,
        "image_mean": image["image_mean"],
        "image_std": image["image_std"],
    }
    processor = {"processor_class": "InternVLProcessor", "image_seq_length": tokens_per_tile}
    for name, settings in (
        (IMAGE_SETTINGS_NAME, image),
        ("video_preprocessor_config.json", video),
        (PROCESSOR_SETTINGS_NAME, processor),
    ):
        write_json_object(folder / name, settings)


def _channels(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
