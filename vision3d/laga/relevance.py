"""How relevant each object is to a phrase: LERF's softmax against canonical phrases, weighted per descriptor.

Source: LERF (Kerr et al. 2023, section 4.2) for the relevance, LaGa for max_j w_j Rel(c_j) per object.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.laga.object_descriptors import ObjectDescriptors

TEMPERATURE = 10.0
"""LERF's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRelevance:
    """Scores of all objects for one phrase. Objects without descriptors have 0, and cosine -1."""

    weighted: Float[Tensor, " object"]
    """Largest weight x relevance of its descriptors."""
    relevance: Float[Tensor, " object"]
    """Relevance 0-1 of that descriptor by itself; above 0.5 the phrase beats every canonical one."""
    cosine: Float[Tensor, " object"]
    """Cosine of that descriptor and the phrase."""


def relevance(
    vectors: Float[Tensor, "row dim"], phrase: Float[Tensor, " dim"], negatives: Float[Tensor, "negative dim"]
) -> Float[Tensor, " row"]:
    """Probability that a vector means the phrase and not the canonical phrase it is nearest to.

    Example:
        >>> relevance(torch.eye(2), torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 1.0]])).round(decimals=3).tolist()
        [1.0, 0.0]
    """
    return torch.sigmoid(TEMPERATURE * (vectors @ phrase - (vectors @ negatives.T).amax(1)))


def object_relevance(
    descriptors: ObjectDescriptors,
    phrase: Float[Tensor, " dim"],
    negatives: Float[Tensor, "negative dim"],
    *,
    object_count: int,
) -> ObjectRelevance:
    """Scores of every object.

    Raises:
        InvalidInputError: the phrase has another dimension than the descriptors.
    """
    if phrase.shape[0] != descriptors.vectors.shape[1]:
        raise InvalidInputError(
            f"Expected a phrase of {descriptors.vectors.shape[1]} dimensions, found {phrase.shape[0]}. "
            "Encode it with the encoder of the scene."
        )
    single = relevance(descriptors.vectors, phrase, negatives)
    weighted = descriptors.weights * single
    best = torch.zeros(object_count).scatter_reduce(0, descriptors.object, weighted, "amax", include_self=False)
    # the first descriptor that reaches its object's best score speaks for the object
    reached = (weighted == best[descriptors.object]).nonzero().flatten()
    winner = torch.full((object_count,), len(single)).scatter_reduce(0, descriptors.object[reached], reached, "amin")
    padded = torch.cat([single, torch.zeros(1)])  # the last entry is what objects without descriptors read
    cosines = torch.cat([descriptors.vectors @ phrase, -torch.ones(1)])
    return ObjectRelevance(weighted=best, relevance=padded[winner], cosine=cosines[winner])
