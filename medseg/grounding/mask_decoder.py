"""`MaskDecoder`: pictures and prompt vectors in, masks out. SAM, MedSAM, the embedded one and the 3D ones are members.

A prompt vector is a projected [SEG] state. Tokens of several pictures go through in one call; `picture` says which
picture each token is about. Logits stay on the decoder's own grid, where 0 is the border between in and out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from medseg.grounding.picture_fit import PictureFit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedPictures:
    """What a decoder keeps of pictures; made once, used for every question about them."""

    embedding: Float[Tensor, "picture width h w"]
    """The map that prompts attend to."""
    fine: tuple[Tensor, ...] = ()
    """Maps of finer strides, coarse to fine, each [picture channel h w]; none for SAM."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecodedMasks:
    """One mask per token."""

    logits: Float[Tensor, "token h w"]
    """On the decoder's own grid; the mask is where they are above 0."""
    overlap: Float[Tensor, " token"]
    """Estimated overlap (IoU) with the truth; about 0-1, not clipped."""
    object_logits: Float[Tensor, " token"] | None = None
    """Evidence in the picture that the target is there at all; None where the decoder has no such head."""


@runtime_checkable
class MaskDecoder(Protocol):
    """A module that grounds prompt vectors in pictures."""

    fit: PictureFit
    """Its preprocessing."""
    prompt_width: int
    """Numbers of a prompt vector."""

    def encode(self, pictures: Float[Tensor, "picture 3 side side"]) -> EncodedPictures:
        """What is kept of fitted pictures."""
        ...

    def decode(
        self,
        encoded: EncodedPictures,
        picture: Int[Tensor, " token"],
        prompts: Float[Tensor, "token width"],
        previous: Float[Tensor, "token h w"] | None = None,
    ) -> DecodedMasks:
        """Masks of the tokens; there may be none.

        `previous` holds logits of an earlier mask per token on any square grid of the fitted picture, for "the ... of
        what you just marked"; rows of NaN mean none.
        """
        ...
