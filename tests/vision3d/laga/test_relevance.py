"""Relevance by LERF's formula, written out, and what an object's best descriptor says."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError
from vision3d.laga.object_descriptors import ObjectDescriptors
from vision3d.laga.relevance import object_relevance, relevance


def _written_out(vector: torch.Tensor, phrase: torch.Tensor, negatives: torch.Tensor) -> float:
    mine = math.exp(10 * float(vector.double() @ phrase.double()))
    others = [math.exp(10 * float(vector.double() @ negative.double())) for negative in negatives]
    return min(mine / (mine + other) for other in others)


def test_relevance_is_the_smallest_softmax_against_each_canonical_phrase() -> None:
    vectors, phrase, negatives = (normalize(torch.randn(*shape), dim=-1) for shape in ((20, 8), (8,), (4, 8)))
    expected = [_written_out(vector, phrase, negatives) for vector in vectors]
    assert relevance(vectors, phrase, negatives).tolist() == pytest.approx(expected, abs=1e-6)


def test_relevance_by_hand() -> None:
    # cosines 0.6 with the phrase, 0.5 and 0.3 with the negatives: 1 / (1 + exp(-10 * 0.1))
    vector = torch.tensor([[0.6, 0.5, 0.3, math.sqrt(1 - 0.36 - 0.25 - 0.09)]])
    found = relevance(vector, torch.eye(4)[0], torch.eye(4)[1:3])
    assert found.tolist() == pytest.approx([1 / (1 + math.exp(-1.0))], abs=1e-6)


def _descriptors(vectors: torch.Tensor, owners: list[int], weights: list[float]) -> ObjectDescriptors:
    return ObjectDescriptors(
        vectors=vectors, object=torch.tensor(owners, dtype=torch.long), weights=torch.tensor(weights), encoder_id="e"
    )


def test_the_descriptor_with_the_largest_weighted_relevance_speaks() -> None:
    # object 0: an exact but lightweight descriptor against a heavier one at 60 degrees; object 2 has none
    half = torch.tensor([0.5, 0.0, math.sqrt(0.75)])
    vectors = torch.stack([torch.eye(3)[0], half, torch.eye(3)[1]])
    descriptors = _descriptors(vectors, [0, 0, 1], [0.5, 0.9, 0.8])
    found = object_relevance(descriptors, torch.eye(3)[0], torch.eye(3)[1:2], object_count=3)
    sure, likely, unlikely = (1 / (1 + math.exp(-10 * margin)) for margin in (1.0, 0.5, -1.0))
    assert 0.5 * sure < 0.9 * likely
    assert found.weighted.tolist() == pytest.approx([0.9 * likely, 0.8 * unlikely, 0.0], abs=1e-6)
    assert found.relevance.tolist() == pytest.approx([likely, unlikely, 0.0], abs=1e-6)
    assert found.cosine.tolist() == pytest.approx([0.5, 0.0, -1.0], abs=1e-6)


def test_objects_are_scored_one_by_one() -> None:
    vectors, phrase, negatives = (normalize(torch.randn(*shape), dim=-1) for shape in ((200, 8), (8,), (4, 8)))
    owners, weights = torch.randint(0, 30, (200,)).sort().values, torch.rand(200)
    found = object_relevance(
        _descriptors(vectors, owners.tolist(), weights.tolist()), phrase, negatives, object_count=30
    )
    single = relevance(vectors, phrase, negatives)
    for number in owners.unique().tolist():
        own = (owners == number).nonzero().flatten()
        best = own[(weights * single)[own].argmax()]
        assert float(found.weighted[number]) == float((weights * single)[best])
        assert float(found.relevance[number]) == float(single[best])
        assert float(found.cosine[number]) == pytest.approx(float(vectors[best] @ phrase), abs=1e-6)


def test_of_equally_good_descriptors_the_first_speaks() -> None:
    # both beat the negative by 0.5, at cosines of 0.75 and 0.5
    vectors = torch.tensor([[0.75, 0.25, math.sqrt(0.375)], [0.5, 0.0, math.sqrt(0.75)]])
    for order, cosine in (([0, 1], 0.75), ([1, 0], 0.5)):
        descriptors = _descriptors(vectors[order], [0, 0], [0.5, 0.5])
        found = object_relevance(descriptors, torch.eye(3)[0], torch.eye(3)[1:2], object_count=1)
        assert found.cosine.tolist() == [cosine]


def test_negative_weights_and_no_descriptors_at_all() -> None:
    found = object_relevance(
        _descriptors(torch.eye(3)[:1], [1], [-0.5]), torch.eye(3)[0], torch.eye(3)[1:2], object_count=2
    )
    assert found.weighted.tolist() == pytest.approx([0.0, -0.5], abs=1e-4)
    none = object_relevance(_descriptors(torch.zeros(0, 3), [], []), torch.eye(3)[0], torch.eye(3)[1:2], object_count=2)
    assert (none.weighted.tolist(), none.relevance.tolist(), none.cosine.tolist()) == ([0, 0], [0, 0], [-1, -1])


def test_a_phrase_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="phrase of 3 dimensions, found 5"):
        object_relevance(_descriptors(torch.eye(3), [0, 1, 2], [1.0] * 3), torch.ones(5), torch.eye(5), object_count=3)
