"""Phrases around a query: prompt templates, the canonical negatives of LERF, and their averaged unit vectors.

Source: LERF (Kerr et al. 2023, section 4.2) for the canonical phrases; LaGa uses the raw phrase, hence `plain` is the
default; averaging over templates is CLIP's own recipe (Radford et al. 2021, section 3.1.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError
from vision3d.language.image_text_encoder import ImageTextEncoder

CANONICAL_NEGATIVES = ("object", "things", "stuff", "texture")
"""What a phrase has to beat to be relevant."""
PROMPT_TEMPLATES: dict[str, tuple[str, ...]] = {
    "plain": ("{}",),
    "photo": ("a photo of a {}",),
    "ensemble": (
        "{}",
        "a photo of a {}",
        "a photo of the {}",
        "a cropped photo of a {}",
        "a close-up photo of a {}",
        "a rendering of a {}",
        "a blurry photo of a {}",
        "there is a {} in the scene",
    ),
}
"""Name -> sentences around a phrase; the vectors of one name's sentences are averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryVectors:
    """Phrases and the negatives they are weighed against, encoded once."""

    phrases: tuple[str, ...]
    """What is asked for."""
    vectors: Float[Tensor, "phrase dim"]
    """Unit length."""
    negatives: tuple[str, ...]
    """What each phrase has to beat."""
    negative_vectors: Float[Tensor, "negative dim"]
    """Unit length."""
    encoder_id: str
    """Encoder of all vectors."""


def encode_query(
    phrases: Sequence[str],
    encoder: ImageTextEncoder,
    *,
    negatives: Sequence[str] = CANONICAL_NEGATIVES,
    templates: str = "plain",
) -> QueryVectors:
    """Unit vectors of the phrases and of their negatives; the templates stand around the phrases alone.

    Raises:
        InvalidInputError: no phrase, no negative, an empty one, or an unknown name of templates.
    """
    return QueryVectors(
        phrases=tuple(phrases),
        vectors=encode_phrases(phrases, encoder, templates=templates),
        negatives=tuple(negatives),
        negative_vectors=encode_phrases(negatives, encoder),
        encoder_id=encoder.encoder_id,
    )


def encode_phrases(
    phrases: Sequence[str], encoder: ImageTextEncoder, *, templates: str = "plain"
) -> Float[Tensor, "phrase dim"]:
    """One unit vector per phrase: the mean over the templates' sentences, brought back to unit length.

    Raises:
        InvalidInputError: no phrase, an empty one, or an unknown name of templates.
    """
    if isinstance(phrases, str):
        raise InvalidInputError(f"Expected a list of phrases, found the single text {phrases!r}. Put it into a list.")
    if templates not in PROMPT_TEMPLATES:
        raise InvalidInputError(f"Expected templates of {list(PROMPT_TEMPLATES)}, found {templates!r}. Choose one.")
    empty = [place for place, phrase in enumerate(phrases) if not phrase.strip()]
    if empty or not phrases:
        raise InvalidInputError(
            f"Expected at least one phrase and no empty one, found {len(phrases)} with empty ones at {empty}. "
            "Say what to look for."
        )
    sentences = PROMPT_TEMPLATES[templates]
    vectors = encoder.encode_texts([sentence.format(phrase.strip()) for phrase in phrases for sentence in sentences])
    return normalize(vectors.reshape(len(phrases), len(sentences), -1).mean(1), dim=-1)
