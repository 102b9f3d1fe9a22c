"""A small encoder that knows colours: a picture lies where its mean colour is, every word has a fixed vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

AXES = ("red", "green", "blue", "dim", "anything", "nothing")
"""Unit vectors, one per dimension. No picture shows the last three."""
_WORDS = {name: AXES.index(name) for name in AXES[:4]} | dict.fromkeys(("object", "things", "stuff", "texture"), 4)


def vector(**parts: float) -> Float[Tensor, " 6"]:
    """The named parts of a vector, zero elsewhere."""
    return torch.tensor([parts.get(axis, 0.0) for axis in AXES])


class ColourWords:
    """An image and text encoder small enough to work its answers by hand."""

    dim = len(AXES)
    image_size = 8
    cosine_gate = 0.25
    found_relevances = (0.5, 0.3)

    def __init__(self, encoder_id: str = "colour words 1") -> None:
        """An encoder that goes by `encoder_id`."""
        self.encoder_id = encoder_id

    def encode_images(self, images: Float[Tensor, "image 3 size size"]) -> Float[Tensor, "image 6"]:
        """Mean colours brought to unit length."""
        mean = images.mean((2, 3))
        return normalize(torch.cat([mean, torch.zeros(len(mean), 3)], 1), dim=-1)

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, "text 6"]:
        """Sums of the words' vectors at unit length; a text without a known word means nothing."""
        rows = torch.zeros(len(texts), self.dim)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[_WORDS.get(word, 5)] += word in _WORDS
            row[5] += not row.any()
        return normalize(rows, dim=-1)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words it has no vector for."""
        return tuple(word for word in text.split() if word not in _WORDS)
