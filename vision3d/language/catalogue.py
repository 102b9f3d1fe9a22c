"""The image and text encoders by name."""

from __future__ import annotations

from pathlib import Path

import torch

from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.language.open_clip_encoder import OpenClipEncoder
from vlm_bridge.assets import asset_path

EMBEDDED_MODEL = "clip_tiny"
"""The asset that `embedded` stands for."""
ENCODERS: dict[str, str] = {
    "embedded": "the small model that comes along: some fifty kinds of household things, no download",
    "MODEL/TAG": "an OpenCLIP architecture and the tag of its weights, e.g. ViT-B-16/laion2b_s34b_b88k, downloaded before",
    "MODEL=FILE": "an OpenCLIP architecture and a checkpoint file, e.g. ViT-B-16=weights.safetensors",
    "FOLDER": "a folder with open_clip_config.json and open_clip_model.safetensors",
}
"""How an encoder can be named, and what the name means."""


def load_encoder(name: str = "embedded", device: torch.device | str = "cpu") -> ImageTextEncoder:
    """The encoder called `name`, in one of the forms of `ENCODERS`; nothing is downloaded.

    Raises:
        ModelFileError: its files are missing or are no such model; the message says where to get them.
        MissingDependencyError: open_clip is not installed.
        InvalidInputError: the architecture or the tag is unknown.
    """
    if name == "embedded":
        return OpenClipEncoder.from_folder(asset_path(EMBEDDED_MODEL), device=device)
    if Path(name).is_dir():
        return OpenClipEncoder.from_folder(Path(name), device=device)
    model, _, file = name.partition("=")
    if file:
        return OpenClipEncoder.from_file(model, Path(file), device=device)
    model, _, tag = name.rpartition("/")
    return OpenClipEncoder.from_tag(model, tag, device=device)
