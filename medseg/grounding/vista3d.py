"""`Vista3dMaskDecoder`: MONAI's VISTA3D with a projected token in the place of a row of its class embeddings.

VISTA3D multiplies a mapped class embedding with every voxel's features. Those of its 132 classes stay within reach as
prompts (`class_prompts`), so a token may start near one. Its network is that of arXiv:2406.05285; the hook is ours.
Research use only; not a medical device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from monai.networks.nets.vista3d import vista3d132
from torch import Tensor, nn

from medseg.errors import CheckpointError, InvalidInputError
from medseg.grounding.model_files import load_tensors, read_tensors
from medseg.grounding.volume_fit import VolumeFit
from medseg.grounding.volume_protocol import DecodedVolumeMasks, EncodedVolumes

VISTA3D_FIT = VolumeFit(
    spacing=(1.5, 1.5, 1.5), patch=(128, 128, 128), multiple=16, window=(-963.8247715525971, 1053.678477684517)
)
"""That of the published weights: CT at 1.5 mm, HU between two fixed values."""
VISTA3D_CLASSES = 132
"""Classes that the published weights were taught, numbered from 1; rows behind them are spare."""
_PREFIXES = ("network.", "module.")
_UNUSED = ("point_head.",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vista3dConfig:
    """Shape of VISTA3D; stored with its weights."""

    width: int = 48
    """Channels of features and of prompt vectors; 48 in the published weights."""
    fit: VolumeFit = VISTA3D_FIT
    """Its preprocessing."""

    def __post_init__(self) -> None:
        if self.width < 8 or self.width % 8 or self.fit.multiple % 16:
            raise InvalidInputError(
                f"Vista3dConfig: expected a width in eights and a fit whose multiple is one of 16, found {self.width} "
                f"and {self.fit.multiple}. Change them."
            )


class Vista3dMaskDecoder(nn.Module):
    """The VISTA3D member of the family; see `VolumeDecoder`. It has no heads of its own.

    The overlap is what its probabilities lead one to expect, and `object_logits` is None.
    """

    def __init__(self, config: Vista3dConfig = Vista3dConfig()) -> None:
        super().__init__()
        self.config = config
        self.fit = config.fit
        self.prompt_width = config.width
        network = vista3d132(encoder_embed_dim=config.width)
        self.image_encoder: Any = network.image_encoder
        self.class_head: Any = network.class_head

    def encode(self, volumes: Float[Tensor, "volume 1 i j k"]) -> EncodedVolumes:
        """Features of every voxel, mapped as the class head maps them.

        Raises:
            InvalidInputError: a size is not a multiple of 16.
        """
        if any(size % 16 for size in volumes.shape[2:]):
            raise InvalidInputError(
                f"VISTA3D: expected sizes that are multiples of 16, found {tuple(volumes.shape[2:])}. Use its fit."
            )
        _, features = self.image_encoder(volumes, with_point=False, with_label=True)
        return EncodedVolumes(maps=(self.class_head.image_post_mapping(features),))

    def decode(
        self, encoded: EncodedVolumes, volume: Int[Tensor, " token"], prompts: Float[Tensor, "token width"]
    ) -> DecodedVolumeMasks:
        """One mask per token, of the volumes' own size."""
        if not len(volume):
            return DecodedVolumeMasks(logits=prompts.new_zeros((0, *encoded.size)), overlap=prompts.new_zeros(0))
        filters = self.class_head.mlp(prompts[:, None])[:, 0]
        rows = [
            torch.einsum("c,cijk->ijk", one, encoded.maps[0][number])
            for one, number in zip(filters, volume.tolist(), strict=True)
        ]
        logits = torch.stack(rows)
        return DecodedVolumeMasks(logits=logits, overlap=expected_overlap(logits))

    def class_prompts(self, classes: Int[Tensor, " token"]) -> Float[Tensor, "token width"]:
        """The prompt vectors of VISTA3D's own classes, by their number.

        Raises:
            InvalidInputError: a number is not one of its table.
        """
        rows = self.class_head.class_embeddings.num_embeddings
        if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < rows:
            raise InvalidInputError(f"VISTA3D: expected classes within 0-{rows - 1}, found others. Look them up.")
        return self.class_head.class_embeddings(classes)


def load_vista3d(path: Path, config: Vista3dConfig = Vista3dConfig()) -> Vista3dMaskDecoder:
    """The decoder whose weights a published VISTA3D file holds (.pt or .safetensors), in evaluation mode.

    Tensors of the point branch's head are left out. No code of the file is run.

    Raises:
        CheckpointError: the file cannot be read, or holds another network.
    """
    tensors = without_prefix(read_tensors(path))
    if not any(name.startswith("class_head.") for name in tensors):
        raise CheckpointError(
            f"{path.name}: expected the weights of VISTA3D, found {len(tensors)} tensors without class_head. Give "
            "model.pt of MONAI's vista3d bundle."
        )
    decoder = Vista3dMaskDecoder(config)
    kept = {name: value for name, value in tensors.items() if not name.startswith(_UNUSED)}
    load_tensors(decoder, kept, path.name, f"VISTA3D of width {config.width}")
    return decoder.eval()


def without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The table without the name of a wrapper in front of every tensor's, where there is one.

    Example:
        >>> list(without_prefix({"network.a.weight": torch.zeros(1), "network.b": torch.zeros(1)}))
        ['a.weight', 'b']
    """
    for prefix in _PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): value for name, value in tensors.items()}
    return dict(tensors)


def expected_overlap(logits: Float[Tensor, "token i j k"]) -> Float[Tensor, " token"]:
    """The overlap (IoU) of each mask with a truth that is drawn from its own probabilities; 0 for an empty mask.

    Example:
        >>> round(expected_overlap(torch.tensor([20.0, 20.0, -20.0]).reshape(1, 3, 1, 1)).item(), 3)
        1.0
    """
    shares = torch.sigmoid(logits.flatten(1))
    drawn = (logits.flatten(1) > 0).to(shares.dtype)
    return (shares * drawn).sum(1) / (shares + drawn - shares * drawn).sum(1).clamp(min=1e-6)
