"""Phrases and their negatives as vectors, with a small real encoder."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError
from vision3d.language.open_clip_encoder import OpenClipEncoder
from vision3d.language.prompts import CANONICAL_NEGATIVES, PROMPT_TEMPLATES, encode_phrases, encode_query


def test_plain_phrases_are_encoded_as_they_are(encoder: OpenClipEncoder):
    found = encode_phrases([" red mug ", "shelf"], encoder)
    torch.testing.assert_close(found, encoder.encode_texts(["red mug", "shelf"]))


@pytest.mark.parametrize("templates", ["photo", "ensemble"])
def test_templates_are_averaged_and_brought_back_to_unit_length(encoder: OpenClipEncoder, templates: str):
    phrases = ["red mug", "blue shelf", "{curly}"]
    found = encode_phrases(phrases, encoder, templates=templates)
    for vector, phrase in zip(found, phrases, strict=True):
        sentences = [sentence.replace("{}", phrase) for sentence in PROMPT_TEMPLATES[templates]]
        mean = torch.stack([encoder.encode_texts([sentence])[0] for sentence in sentences]).mean(0)
        torch.testing.assert_close(vector, normalize(mean, dim=0), atol=1e-5, rtol=0)


def test_templates_stand_around_phrases_and_not_around_negatives(encoder: OpenClipEncoder):
    query = encode_query(["red mug"], encoder, templates="ensemble")
    assert query.negatives == CANONICAL_NEGATIVES == ("object", "things", "stuff", "texture")
    torch.testing.assert_close(query.negative_vectors, encoder.encode_texts(CANONICAL_NEGATIVES))
    torch.testing.assert_close(query.vectors, encode_phrases(["red mug"], encoder, templates="ensemble"))
    assert query.encoder_id == encoder.encoder_id
    own = encode_query(["red mug", "shelf"], encoder, negatives=["blue mug"])
    assert (own.vectors.shape[0], own.negative_vectors.shape[0], own.negatives) == (2, 1, ("blue mug",))


@pytest.mark.parametrize("phrases", [[], [""], ["mug", "  "]])
def test_no_phrase_or_an_empty_one_is_refused(encoder: OpenClipEncoder, phrases: list[str]):
    with pytest.raises(InvalidInputError, match=f"found {len(phrases)}"):
        encode_query(phrases, encoder)
    with pytest.raises(InvalidInputError, match="Expected at least one phrase"):
        encode_query(["mug"], encoder, negatives=phrases)


def test_a_single_text_is_not_taken_for_a_list_of_letters(encoder: OpenClipEncoder):
    with pytest.raises(InvalidInputError, match="'mug'"):
        encode_phrases("mug", encoder)


def test_unknown_templates_are_refused_with_the_known_ones(encoder: OpenClipEncoder):
    with pytest.raises(InvalidInputError, match=r"'ensemble'.*found 'poem'"):
        encode_phrases(["mug"], encoder, templates="poem")
