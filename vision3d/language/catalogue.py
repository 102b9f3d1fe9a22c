"""The image and text encoders by name."""

from __future__ import annotations

from pathlib import Path

import torch

from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.language.open_clip_encoder import OpenClipEncoder
from vlm_bridge.assets import asset_path
from vlm_bridge.errors import AssetError

EMBEDDED_MODEL = "clip_tiny"
"""The asset that `embedded` stands for."""
ENCODERS: dict[str, str] = {
    "embedded": "the small model that comes along: some fifty kinds of household things, no download",
    "MODEL/TAG": "an OpenCLIP architecture and the tag of downloaded weights, e.g. ViT-B-16/laion2b_s34b_b88k",
    "MODEL=FILE": "an OpenCLIP architecture and a checkpoint file, e.g. ViT-B-16=weights.safetensors",
    "FOLDER": "a folder with open_clip_config.json and open_clip_model.safetensors",
}
"""How an encoder can be named, and what the name means."""


def load_encoder(name: str = "embedded", device: torch.device | str = "cpu") -> ImageTextEncoder:
    """The encoder called `name`, in one of the forms of `ENCODERS`; nothing is downloaded.

    Raises:
        ModelFileError: its files are missing or are no such model; the message says where to get them.
        MissingDependencyError: open_clip is not installed.
        InvalidInputError: the name has none of the forms, or its architecture or tag is unknown.
    """
    if name == "embedded":
        return OpenClipEncoder.from_folder(_embedded_folder(), device=device)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return OpenClipEncoder.from_folder(folder, device=device)
    model, _, file = name.partition("=")
    if file:
        return OpenClipEncoder.from_file(model, Path(file).expanduser(), device=device)
    model, _, tag = name.rpartition("/")
    if not model or not tag:
        forms = "; ".join(f"{form}: {meaning}" for form, meaning in ENCODERS.items())
        raise InvalidInputError(f"Expected the name of an encoder, found {name!r} and no folder there. Give {forms}.")
    return OpenClipEncoder.from_tag(model, tag, device=device)


def _embedded_folder() -> Path:
    try:
        return asset_path(EMBEDDED_MODEL)
    except AssetError as error:
        raise ModelFileError(
            f"Expected the embedded encoder {EMBEDDED_MODEL}, found it missing or damaged: {error} "
            "Or name another encoder: a folder, MODEL/TAG or MODEL=FILE."
        ) from error
