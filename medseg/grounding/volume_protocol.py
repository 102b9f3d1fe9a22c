"""`VolumeDecoder`: volumes and prompt vectors in, 3D masks out. The SegResNet-class decoder and VISTA3D are members.

As `MaskDecoder` does for pictures: tokens of several volumes of one size go through in one call, `volume` says which
volume each token is about, and logits of 0 are the border between in and out. Axes i, j, k run right, anterior and
superior, as `VolumeFit` turns them. Research use only; not a medical device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from medseg.grounding.volume_fit import VolumeFit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedVolumes:
    """What a decoder keeps of volumes; made once, used for every question about them."""

    maps: tuple[Tensor, ...]
    """Maps [volume channel i j k], coarse to fine; the last one is of the volumes' own size."""

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels of the volumes along i, j and k."""
        i, j, k = self.maps[-1].shape[2:]
        return i, j, k


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecodedVolumeMasks:
    """One 3D mask per token."""

    logits: Float[Tensor, "token i j k"]
    """The mask is where they are above 0."""
    overlap: Float[Tensor, " token"]
    """Estimated overlap (IoU) with the truth, 0-1."""
    object_logits: Float[Tensor, " token"] | None = None
    """Evidence in the volume that the target is there at all; None where the decoder has no such head."""


@runtime_checkable
class VolumeDecoder(Protocol):
    """A module that grounds prompt vectors in volumes."""

    fit: VolumeFit
    """Its preprocessing."""
    prompt_width: int
    """Numbers of a prompt vector."""

    def encode(self, volumes: Float[Tensor, "volume 1 i j k"]) -> EncodedVolumes:
        """What is kept of fitted volumes, or of windows of them; sizes are multiples of `fit.multiple`."""
        ...

    def decode(
        self, encoded: EncodedVolumes, volume: Int[Tensor, " token"], prompts: Float[Tensor, "token width"]
    ) -> DecodedVolumeMasks:
        """Masks of the tokens; there may be none."""
        ...
