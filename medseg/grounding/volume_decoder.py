"""`VolumeMaskDecoder`: a 3D decoder of MONAI's SegResNet blocks, conditioned on a prompt vector.

The network looks at the volume once, for all tokens. The token becomes one filter per level of the way up, each level
answers with a map of dot products, and the maps are added: coarse ones say where, fine ones draw the border. Two heads
estimate the overlap with the truth and whether the target is there at all. Research use only; not a medical device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from monai.networks.nets.segresnet import SegResNet
from torch import Tensor, nn
from torch.nn.functional import interpolate

from medseg.errors import InvalidInputError
from medseg.grounding.volume_fit import VolumeFit
from medseg.grounding.volume_protocol import DecodedVolumeMasks, EncodedVolumes


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDecoderConfig:
    """Shape of the 3D decoder; stored with its weights."""

    width: int = 128
    """Of prompt vectors."""
    filters: int = 8
    """Channels at the volume's own size; each coarser level has twice as many."""
    blocks_down: tuple[int, ...] = (1, 2, 2, 2)
    """Residual blocks of each level on the way down, fine to coarse."""
    blocks_up: tuple[int, ...] = (1, 1, 1)
    """Residual blocks of each level on the way up, one level fewer."""
    fit: VolumeFit = VolumeFit()
    """Its preprocessing."""

    def __post_init__(self) -> None:
        levels = len(self.blocks_down)
        if self.filters % 8 or len(self.blocks_up) != levels - 1 or self.fit.multiple % 2 ** (levels - 1):
            raise InvalidInputError(
                f"VolumeDecoderConfig: expected filters in eights, one level fewer up than down, and a fit whose "
                f"multiple is one of {2 ** (levels - 1)}, found {self.filters}, {self.blocks_down}, {self.blocks_up} "
                f"and {self.fit.multiple}. Change them."
            )


class VolumeMaskDecoder(nn.Module):
    """The SegResNet-class member of the family; see `VolumeDecoder`."""

    def __init__(self, config: VolumeDecoderConfig = VolumeDecoderConfig()) -> None:
        super().__init__()
        self.config = config
        self.fit = config.fit
        self.prompt_width = config.width
        self.network = SegResNet(
            init_filters=config.filters, blocks_down=config.blocks_down, blocks_up=config.blocks_up, out_channels=1
        )
        # the network's own last layer knows no token; dot products take its place
        self.network.conv_final = nn.Sequential()
        # convolutions of few channels are quicker on a CPU when channels lie together
        self.network.to(memory_format=torch.channels_last_3d)
        channels = [config.filters * 2**level for level in reversed(range(len(config.blocks_down)))]
        self.norms = nn.ModuleList(nn.GroupNorm(8, count) for count in channels)
        self.filters = nn.ModuleList(_filter_head(config.width, count + 1) for count in channels)
        pooled = 3 * channels[0]
        self.object_head = nn.Sequential(nn.Linear(pooled + config.width, 64), nn.ReLU(), nn.Linear(64, 1))
        self.overlap_head = nn.Sequential(nn.Linear(pooled + config.width, 64), nn.ReLU(), nn.Linear(64, 1))

    def encode(self, volumes: Float[Tensor, "volume 1 i j k"]) -> EncodedVolumes:
        """Maps of every level on the way up.

        Raises:
            InvalidInputError: a size is not a multiple of `fit.multiple`.
        """
        if any(size % self.fit.multiple for size in volumes.shape[2:]):
            raise InvalidInputError(
                f"3D decoder: expected sizes that are multiples of {self.fit.multiple}, found "
                f"{tuple(volumes.shape[2:])}. Use the decoder's fit."
            )
        features, down = self.network.encode(volumes.contiguous(memory_format=torch.channels_last_3d))
        maps = [features]
        finer = reversed(down[:-1])
        for enlarge, mix, skip in zip(self.network.up_samples, self.network.up_layers, finer, strict=True):
            maps.append(mix(enlarge(maps[-1]) + skip))
        normed = (torch.relu(norm(one)) for norm, one in zip(self.norms, maps, strict=True))
        return EncodedVolumes(maps=tuple(normed))

    def decode(
        self, encoded: EncodedVolumes, volume: Int[Tensor, " token"], prompts: Float[Tensor, "token width"]
    ) -> DecodedVolumeMasks:
        """One mask per token, of the volumes' own size."""
        if not len(volume):
            none = prompts.new_zeros(0)
            return DecodedVolumeMasks(logits=prompts.new_zeros((0, *encoded.size)), overlap=none, object_logits=none)
        logits = prompts.new_zeros((len(volume), 1, 1, 1))
        for one, head in zip(encoded.maps, self.filters, strict=True):
            filters = head(prompts)
            answer = _dot(one, volume, filters[:, :-1]) + filters[:, -1, None, None, None]
            if logits.shape[1:] != answer.shape[1:]:
                logits = interpolate(logits[:, None], answer.shape[1:], mode="trilinear", align_corners=False)[:, 0]
            logits = logits + answer
        seen = torch.cat([_pooled(encoded.maps[0], volume, logits.detach()), prompts], dim=1)
        return DecodedVolumeMasks(
            logits=logits,
            overlap=torch.sigmoid(self.overlap_head(seen)[:, 0]),
            object_logits=self.object_head(seen)[:, 0],
        )


def _filter_head(width: int, count: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, count))


def _dot(maps: Tensor, volume: Tensor, filters: Tensor) -> Tensor:
    """[token i j k]: dot product of each token's filter with every voxel of its volume, by root of the channels."""
    rows = [
        torch.einsum("c,cijk->ijk", one, maps[number]) for one, number in zip(filters, volume.tolist(), strict=True)
    ]
    return torch.stack(rows) * filters.shape[1] ** -0.5


def _pooled(coarse: Tensor, volume: Tensor, logits: Tensor) -> Tensor:
    """[token 3c]: mean and maximum of the coarsest map, and its mean over the mask that was drawn."""
    i, j, k = coarse.shape[2:]
    shares = nn.functional.adaptive_avg_pool3d(torch.sigmoid(logits)[:, None], (i, j, k))
    own = coarse[volume]
    inside = (own * shares).sum((2, 3, 4)) / shares.sum((2, 3, 4)).clamp(min=1e-6)
    return torch.cat([own.mean((2, 3, 4)), own.amax((2, 3, 4)), inside], dim=1)
