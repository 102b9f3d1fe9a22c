"""`MaskFeatures`: one vector of an image encoder per mask of a scene's views, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import tqdm

from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.language.crops import CropSettings, crop_masks, mask_boxes
from vision3d.language.image_text_encoder import ImageTextEncoder, check_same_encoder
from vlm_bridge.atomic_write import written_whole

_FORMAT = "vision3d mask features 1"
_COLUMNS = ("view", "level", "number")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFeatures:
    """Vectors of masks, and where each mask is found again."""

    vectors: Float[Tensor, "mask dim"]
    """Unit length."""
    view: Int[Tensor, " mask"]
    """Row of the view."""
    level: Int[Tensor, " mask"]
    """Level of the label map."""
    number: Int[Tensor, " mask"]
    """Value in that view's and level's label map."""
    encoder_id: str
    """Encoder that made the vectors."""

    def __post_init__(self) -> None:
        lengths = [len(self.vectors), len(self.view), len(self.level), len(self.number)]
        if len(set(lengths)) > 1:
            raise InvalidInputError(
                f"MaskFeatures: expected a view, level and number per vector, found lengths {lengths}. "
                "Take all four from one source."
            )

    def __len__(self) -> int:
        return len(self.vectors)


def encode_masks(
    image: UInt8[Tensor, "height width 3"],
    labels: Int[Tensor, "level height width"],
    encoder: ImageTextEncoder,
    settings: CropSettings | None = None,
    *,
    view: int = 0,
) -> MaskFeatures:
    """Vectors of all masks of one view, level by level and by rising number.

    Masks without a visible pixel, or with fewer than the settings ask for, have none.

    Raises:
        InvalidInputError: the label maps are not of the image's size.
    """
    settings = settings or CropSettings()
    vectors, levels, numbers = [torch.zeros(0, encoder.dim)], [], []
    for level, level_labels in enumerate(labels):
        masks = mask_boxes(level_labels, minimum_pixels=settings.minimum_pixels)
        for batch in masks.batches(settings.batch_size):
            crops = crop_masks(image, level_labels, batch, encoder.image_size, settings)
            vectors.append(encoder.encode_images(crops))
        levels += [level] * len(masks)
        numbers += masks.number.tolist()
    return MaskFeatures(
        vectors=torch.cat(vectors),
        view=torch.full((len(numbers),), view, dtype=torch.long),
        level=torch.tensor(levels, dtype=torch.long),
        number=torch.tensor(numbers, dtype=torch.long),
        encoder_id=encoder.encoder_id,
    )


def encode_views(
    images: UInt8[Tensor, "view height width 3"],
    labels: Int[Tensor, "view level height width"] | Int[ndarray, "view level height width"],
    encoder: ImageTextEncoder,
    settings: CropSettings | None = None,
    *,
    progress: bool = False,
) -> MaskFeatures:
    """Vectors of all masks of all views; `labels` may be mapped from a file, one view is read at a time.

    Raises:
        InvalidInputError: images and label maps differ in number or size.
    """
    if len(images) != len(labels):
        raise InvalidInputError(
            f"Expected label maps of each of the {len(images)} images, found {len(labels)}. Make the missing masks."
        )
    rows: Iterable[int] = tqdm(range(len(images)), desc="mask features", disable=not progress)
    parts = [encode_masks(images[row], _as_tensor(labels[row]), encoder, settings, view=row) for row in rows]
    return join_mask_features(parts, encoder)


def join_mask_features(parts: Sequence[MaskFeatures], encoder: ImageTextEncoder) -> MaskFeatures:
    """All masks of the parts in order; no part gives none.

    Raises:
        InvalidInputError: a part is of another encoder.
    """
    for place, part in enumerate(parts):
        check_same_encoder(part.encoder_id, encoder, f"Mask features {place}")
    empty = torch.zeros(0, dtype=torch.long)
    return MaskFeatures(
        vectors=torch.cat([torch.zeros(0, encoder.dim), *(part.vectors for part in parts)]),
        view=torch.cat([empty, *(part.view for part in parts)]),
        level=torch.cat([empty, *(part.level for part in parts)]),
        number=torch.cat([empty, *(part.number for part in parts)]),
        encoder_id=encoder.encoder_id,
    )


def save_mask_features(features: MaskFeatures, path: Path) -> None:
    """Write the vectors in half precision, and where they belong, as one safetensors file."""
    tensors = {"vectors": features.vectors.half()} | {name: getattr(features, name).int() for name in _COLUMNS}
    contents = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with written_whole(path) as partial:
        save_file(contents, partial, metadata={"format": _FORMAT, "encoder_id": features.encoder_id})


def load_mask_features(path: Path, encoder: ImageTextEncoder | None = None) -> MaskFeatures:
    """The features of a file, in single precision and brought back to unit length.

    With `encoder`, features of another one are refused.

    Raises:
        ModelFileError: the file is missing, cut, or holds no mask features.
        InvalidInputError: the features are of another encoder.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("format") != _FORMAT:
                raise ModelFileError(
                    f"{path}: expected a file of {_FORMAT!r}, found {facts.get('format')!r}. Encode the masks again."
                )
            tensors = {name: file.get_tensor(name) for name in ("vectors", *_COLUMNS)}
            encoder_id = facts["encoder_id"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelFileError(f"{path}: expected mask features, found: {error}. Encode the masks again.") from error
    if encoder is not None:
        check_same_encoder(encoder_id, encoder, str(path))
    return MaskFeatures(
        vectors=normalize(tensors["vectors"].float(), dim=-1),
        encoder_id=encoder_id,
        **{name: tensors[name].long() for name in _COLUMNS},
    )


def _as_tensor(labels: Tensor | ndarray) -> Tensor:
    # a copy: a map opened read-only must not be written through
    return labels if isinstance(labels, Tensor) else torch.from_numpy(labels.astype("int64"))
