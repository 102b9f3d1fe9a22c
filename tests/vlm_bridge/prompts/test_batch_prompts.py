"""Encoded conversations as a batch: padded on the side asked for."""

from __future__ import annotations

import pytest
import torch

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.images.tile_batch import TileBatch
from vlm_bridge.prompts.batch_prompts import batch_prompts
from vlm_bridge.prompts.encode_conversation import EncodedConversation

LONG = EncodedConversation(ids=[5, 6, 7], answers=[False, False, True])
SHORT = EncodedConversation(ids=[9], answers=[True])


def test_padding_on_the_left_ends_all_rows_together() -> None:
    batch = batch_prompts([SHORT, LONG], 1, None, pad_left=True)
    assert batch.ids.tolist() == [[1, 1, 9], [5, 6, 7]]
    assert batch.attention.tolist() == [[False, False, True], [True, True, True]]
    assert batch.answers.tolist() == [[False, False, True], [False, False, True]]
    assert batch.ids.dtype == torch.int64


def test_padding_on_the_right_begins_all_rows_together() -> None:
    batch = batch_prompts([SHORT, LONG], 1, None, pad_left=False)
    assert batch.ids.tolist() == [[9, 1, 1], [5, 6, 7]]
    assert batch.attention.tolist() == [[True, False, False], [True, True, True]]
    assert batch.answers.tolist() == [[True, False, False], [False, False, True]]


@pytest.mark.parametrize("pad_left", [True, False])
def test_attended_ids_are_those_of_each_conversation(pad_left: bool) -> None:
    rows = [SHORT, LONG, EncodedConversation(ids=[1, 1], answers=[True, False])]  # ids equal to the padding too
    batch = batch_prompts(rows, 1, None, pad_left=pad_left)
    for number, row in enumerate(rows):
        assert batch.ids[number][batch.attention[number]].tolist() == row.ids
        assert batch.answers[number][batch.attention[number]].tolist() == row.answers
    assert not batch.answers[~batch.attention].any()


def test_tiles_are_handed_on_and_a_batch_of_none_is_none() -> None:
    tiles = TileBatch(pixels=torch.zeros(2, 3, 28, 28), counts=(1, 1))
    assert batch_prompts([LONG], 0, tiles, pad_left=True).tiles is tiles
    none = TileBatch(pixels=torch.zeros(0, 3, 28, 28), counts=())
    assert batch_prompts([LONG], 0, none, pad_left=True).tiles is None


def test_batch_of_no_conversation_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one conversation"):
        batch_prompts([], 0, None, pad_left=True)
