"""`ImageTextEncoder`: what the rest of vision3d asks of a CLIP-like model, and the check that two agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from vision3d.errors import InvalidInputError


@runtime_checkable
class ImageTextEncoder(Protocol):
    """Pictures and phrases as unit vectors of one space; the larger their dot product, the better they fit."""

    @property
    def encoder_id(self) -> str:
        """Architecture and digest of configuration, vocabulary and weights: equal ids give equal vectors."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def image_size(self) -> int:
        """Side in pixels of the square pictures it takes."""
        ...

    @property
    def cosine_gate(self) -> float:
        """Cosine below which a picture and a phrase have nothing to do with each other."""
        ...

    @property
    def found_relevances(self) -> tuple[float, float]:
        """Weighted relevance from which a phrase is found, and from which it is at least uncertain."""
        ...

    def encode_images(self, images: Float[Tensor, "image 3 size size"]) -> Float[Tensor, "image dim"]:
        """Unit vectors of square pictures (display values, 0-1) of `image_size`, on the CPU."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, "text dim"]:
        """Unit vectors of phrases, on the CPU."""
        ...

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that mean nothing to the encoder, in order; empty where every word is read in pieces."""
        ...


def check_same_encoder(found: str, encoder: ImageTextEncoder, what: str) -> None:
    """Refuse vectors of another encoder; `what` names the thing that carries the id `found`.

    Raises:
        InvalidInputError: the ids differ, so the vectors mean different things.
    """
    if found != encoder.encoder_id:
        raise InvalidInputError(
            f"{what}: expected vectors of encoder {encoder.encoder_id}, found vectors of {found}. "
            "Encode the masks again with this encoder, or query with the one they were made with."
        )
