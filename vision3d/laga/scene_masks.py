"""Masks and mask features of a scene's photos, made or read, and kept so that the next training finds them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.language.crops import CropSettings
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.language.mask_features import MaskFeatures, encode_views, load_mask_features, save_mask_features
from vision3d.masks.catalogue import PROPOSERS, load_proposer
from vision3d.masks.mask_proposer import MaskProposer
from vision3d.masks.propose_masks import propose_masks
from vision3d.masks.view_masks import ViewMasks


def mask_source(name: str) -> MaskProposer | Path:
    """What makes the masks: the proposer called `name` (or NAME=PATH), else the folder of this name.

    Raises:
        InvalidInputError: there is neither.
        ModelFileError, MissingDependencyError: the proposer cannot be made.
    """
    folder = Path(name).expanduser()
    if name and name.partition("=")[0] not in PROPOSERS and folder.is_dir():
        return folder
    return load_proposer(name)


def masks_of_photos(
    images: UInt8[Tensor, "view height width 3"],
    names: Sequence[str],
    source: MaskProposer | Path,
    *,
    folder: Path,
    progress: bool = False,
) -> ViewMasks:
    """Masks of all photos: read from the source where it is a folder, else proposed and kept in `folder`.

    Raises:
        InvalidInputError: the source has no masks of a photo, or masks of another size.
    """
    if isinstance(source, Path):
        return _own_masks(source, names, (images.shape[2], images.shape[1]))
    return propose_masks(images, names, source, folder=folder / _folder_name(source.proposer_id), progress=progress)


def features_of_masks(
    images: UInt8[Tensor, "view height width 3"],
    masks: ViewMasks,
    encoder: ImageTextEncoder,
    settings: CropSettings,
    *,
    folder: Path,
    progress: bool = False,
) -> MaskFeatures:
    """A vector per mask, from `folder` where these photos and masks were encoded so before.

    New vectors are read back from the file they were written to: half precision, the same in every training.

    Raises:
        ModelFileError: the file kept there is damaged.
    """
    path = folder / f"{_key(images, masks, encoder, settings)}.safetensors"
    if not path.is_file():
        save_mask_features(encode_views(images, masks.labels, encoder, settings, progress=progress), path)
    return load_mask_features(path, encoder)


def _folder_name(proposer_id: str) -> str:
    """A name that the file system takes: the first word and a digest of all of it."""
    word = re.split(r"[^a-zA-Z0-9]", proposer_id, maxsplit=1)[0]
    return f"{word}_{hashlib.sha256(proposer_id.encode()).hexdigest()[:8]}"


def _own_masks(folder: Path, names: Sequence[str], size: tuple[int, int]) -> ViewMasks:
    from vision3d.masks.own_masks import read_own_masks

    return read_own_masks(folder, names, size)


def _key(images: Tensor, masks: ViewMasks, encoder: ImageTextEncoder, settings: CropSettings) -> str:
    if len(images) != len(masks.view_names):
        raise InvalidInputError(
            f"Expected masks of each of {len(images)} photos, found {len(masks.view_names)}. Make the missing masks."
        )
    shown = {name: value for name, value in asdict(settings).items() if name != "batch_size"}
    digest = hashlib.sha256(repr((encoder.encoder_id, shown, masks.labels.shape)).encode())
    for row in range(len(images)):
        digest.update(np.ascontiguousarray(images[row].numpy()).tobytes())
        digest.update(np.ascontiguousarray(masks.labels[row], np.int32).tobytes())
    return digest.hexdigest()[:32]
