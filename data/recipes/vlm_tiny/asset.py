"""Writes the trained backbone as transformers reads it: configuration, half-precision weights, tokenizer, tiling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from data.recipes.vlm_tiny.exchange import SIDE
from vlm_bridge.images.tile_batch import IMAGENET_MEAN, IMAGENET_STD

FOLDER = Path(__file__).resolve().parents[2] / "vlm_tiny"


def write_asset(model: Any, tokenizer: Any, folder: Path = FOLDER) -> None:
    """Write everything into `folder`; the trained weights are rounded to bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tiling = {
        "image_processor_type": "GotOcr2ImageProcessor", "size": {"height": SIDE, "width": SIDE},
        "crop_to_patches": True, "min_patches": 1, "max_patches": 1, "do_resize": True, "do_rescale": True,
        "do_normalize": True, "do_convert_rgb": True, "rescale_factor": 1 / 255, "resample": 3,
        "image_mean": list(IMAGENET_MEAN), "image_std": list(IMAGENET_STD),
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(tiling, indent=1) + "\n", encoding="utf-8")
