"""Batches: labels are the answers and nothing else, nothing is cut, and each record comes once per epoch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vlm_bridge.finetune.colours import QUESTION, answered, colour_conversations, picture, tiny_backbone
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.finetune.batches import IGNORED, ConversationCollator, LengthBuckets, kept_records
from vlm_bridge.finetune.lengths import conversation_lengths
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.prompts.conversation import Conversation, Message, ask


def test_labels_are_the_answers_with_their_end_of_turn() -> None:
    backbone = tiny_backbone()
    turns = (
        Message(role="user", text="one?", images=(picture("red"),)),
        Message(role="assistant", text="yes"),
        Message(role="user", text="two?"),
        Message(role="assistant", text="no [SEG]"),
    )
    inputs = ConversationCollator(backbone)([Conversation(messages=turns), *colour_conversations()[:1]])
    labels = inputs["labels"][0]
    assert backbone.tokenizer.decode(labels[labels != IGNORED]) == "yes<|im_end|>no [SEG]<|im_end|>"
    assert torch.equal(inputs["input_ids"][labels.new_tensor(0)][labels != IGNORED], labels[labels != IGNORED])
    assert (inputs["labels"][1][inputs["attention_mask"][1] == 0] == IGNORED).all()
    # 28 x 28 pixels are one tile, which has one visual token.
    assert inputs["pixel_values"].shape == (2, 3, 28, 28)


def test_batch_without_pictures_has_no_pixels() -> None:
    inputs = ConversationCollator(tiny_backbone())([answered("a", "b"), answered("longer", "c")])
    assert set(inputs) == {"input_ids", "attention_mask", "labels"}
    assert inputs["attention_mask"].sum(dim=1).diff().item() == len("longer") - len("a")  # a byte is a token


def test_a_batch_is_never_cut() -> None:
    backbone = tiny_backbone()
    conversation = colour_conversations()[0]
    length = ConversationCollator(backbone)([conversation])["input_ids"].shape[1]
    assert ConversationCollator(backbone, max_length=length)([conversation])["input_ids"].shape[1] == length
    with pytest.raises(InvalidInputError, match=f"at most {length - 1} tokens, found {length}"):
        ConversationCollator(backbone, max_length=length - 1)([conversation])


def test_a_conversation_without_an_answer_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="an answer in each conversation"):
        ConversationCollator(tiny_backbone())([answered("a", "b"), ask("c")])


@pytest.mark.parametrize("max_tiles", [None, 1, 3])
def test_lengths_are_those_of_encoded_conversations(max_tiles: int | None) -> None:
    backbone = tiny_backbone(image_size=56)
    conversations = [
        answered("text alone", "b"),
        answered(QUESTION, "one tile", picture("red", (56, 56))),
        answered(QUESTION, "tall and wide", picture("red", (60, 230)), picture("blue", (190, 90))),
    ]
    found = conversation_lengths(backbone, ConversationDataset(conversations), max_tiles=max_tiles)
    encoded = [
        backbone.encode([conversation], to_answer=False, max_tiles=max_tiles).ids.shape[1]
        for conversation in conversations
    ]
    assert found == encoded


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=300),
    batch_size=st.integers(1, 7),
    epoch=st.integers(0, 3),
    sort=st.booleans(),
)
def test_each_record_comes_once_per_epoch(lengths: list[int], batch_size: int, epoch: int, sort: bool) -> None:
    order = LengthBuckets(lengths, batch_size=batch_size, seed=3, sort=sort)
    order.set_epoch(epoch)
    found = list(order)
    assert sorted(found) == list(range(len(lengths)))
    assert list(order) == found  # asked again, the same


def test_batches_hold_equal_lengths_and_the_longest_comes_first() -> None:
    lengths = [number // 4 for number in range(400)]  # four records of each length, ten batches' worth of 40 sorted
    order = LengthBuckets(lengths, batch_size=4, seed=0)
    found = [lengths[number] for number in order]
    batches = [found[start : start + 4] for start in range(0, 400, 4)]
    padding = sum(max(batch) * 4 - sum(batch) for batch in batches)
    shuffled = [lengths[number] for number in LengthBuckets(lengths, batch_size=4, seed=0, sort=False)]
    plain = sum(max(shuffled[start : start + 4]) * 4 - sum(shuffled[start : start + 4]) for start in range(0, 400, 4))
    # Drawn by chance, the longest of four uniform lengths is 4/5 of the range, so 3/8 of all tokens are padding.
    assert padding < plain / 10
    assert 99 in batches[0]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    lengths = list(range(40))
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        order = LengthBuckets(lengths, batch_size=4, seed=seed)
        order.set_epoch(epoch)
        orders.append(tuple(order))
    assert len(set(orders)) == 3


def test_order_needs_records_and_a_batch_size() -> None:
    with pytest.raises(InvalidInputError, match="found 0 and 1"):
        LengthBuckets([5], batch_size=0, seed=0)
    with pytest.raises(InvalidInputError, match="found 2 and 0"):
        LengthBuckets([], batch_size=2, seed=0)


def test_long_records_are_refused_or_dropped_whole() -> None:
    lengths, places = [5, 9, 7], ["a", "b", "c"]
    assert kept_records(lengths, 7, "drop", places) == [0, 2]
    assert kept_records(lengths, None, "refuse", places) == [0, 1, 2]
    with pytest.raises(InvalidInputError, match=r"found 1 of 3 longer, up to 9 tokens \(b\)"):
        kept_records(lengths, 7, "refuse", places)
    with pytest.raises(InvalidInputError, match="found 3 of 3"):
        kept_records(lengths, 4, "drop", places)
