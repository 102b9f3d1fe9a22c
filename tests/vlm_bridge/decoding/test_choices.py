"""Choices: exact probabilities against whole passes, and a processor that can spell nothing else."""

from __future__ import annotations

import math

import pytest
import torch

from tests.vlm_bridge.decoding.tiny_backbone import picture, tiny_backbone
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.decoding.answer_text import answer_ids, end_of_turn
from vlm_bridge.decoding.choice_trie import ChoiceProcessor, choice_ids
from vlm_bridge.decoding.choices import choose
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.generate import generate
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.prompts.conversation import Conversation, Message, ask

TALK = [ask("which side?", picture()), ask("w", picture(28, 28, seed=1))]
CHOICES = ("left", "left lung", "right", "à droite", "[SEG]", "no", "a", "b", "c", "d")
"""One begins another, one is a special token, one is not ASCII, and there are more than are read at once."""


@pytest.fixture(scope="module")
def backbone() -> InternVLBackbone:
    return tiny_backbone()


def _by_whole_pass(backbone: InternVLBackbone, conversation: Conversation, choice: str) -> float:
    """From one pass over prompt and answer as training encodes them."""
    messages = (*conversation.messages, Message(role="assistant", text=choice))
    batch = backbone.encode([Conversation(messages=messages)], to_answer=False)
    with torch.inference_mode():
        logs = backbone.forward(batch).logits[0].double().log_softmax(-1)
    places = batch.answers[0].nonzero()[:, 0]
    return float(logs[places - 1, batch.ids[0, places]].sum())


def test_probabilities_are_those_of_training(backbone: InternVLBackbone) -> None:
    for row, found in enumerate(choose(backbone, TALK, CHOICES)):
        wanted = torch.tensor([_by_whole_pass(backbone, TALK[row], choice) for choice in CHOICES])
        torch.testing.assert_close(found.log_probabilities, wanted, atol=1e-4, rtol=1e-5)
        assert found.number == int(wanted.argmax())
        assert found.text == CHOICES[found.number]
        assert float(found.shares.sum()) == pytest.approx(1, abs=1e-6)


def test_conversations_do_not_see_each_other(backbone: InternVLBackbone) -> None:
    together = choose(backbone, TALK, CHOICES)
    for row, conversation in enumerate(TALK):
        (alone,) = choose(backbone, [conversation], CHOICES)
        torch.testing.assert_close(alone.log_probabilities, together[row].log_probabilities, atol=1e-4, rtol=1e-5)


def test_mean_per_token_counts_the_end_of_turn(backbone: InternVLBackbone) -> None:
    (whole,) = choose(backbone, TALK[:1], CHOICES)
    (mean,) = choose(backbone, TALK[:1], CHOICES, per_token=True)
    lengths = torch.tensor([len(answer_ids(backbone, choice)) + 1 for choice in CHOICES])
    torch.testing.assert_close(mean.scores, whole.log_probabilities / lengths)
    torch.testing.assert_close(mean.log_probabilities, whole.log_probabilities)


def test_all_ways_to_spell_the_first_token_add_up(backbone: InternVLBackbone) -> None:
    """Of an answer of one token, given that it comes first, all ends and continuations sum to it: so no choice can be
    likelier than its own first token."""
    batch = backbone.encode(TALK[:1], to_answer=True)
    with torch.inference_mode():
        first = backbone.forward(batch).logits[0, -1].log_softmax(-1)
    (found,) = choose(backbone, TALK[:1], CHOICES)
    for number, choice in enumerate(CHOICES):
        assert found.log_probabilities[number] < first[answer_ids(backbone, choice)[0]] + 1e-5


def test_a_single_choice_is_chosen(backbone: InternVLBackbone) -> None:
    (found,) = choose(backbone, TALK[:1], ("yes",))
    assert found.text == "yes"
    assert found.shares.tolist() == [1]


@pytest.mark.parametrize("choices", [(), ("yes", "yes"), ("yes", "")])
def test_choices_must_differ(backbone: InternVLBackbone, choices: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="all different and none empty"):
        choose(backbone, TALK, choices)


def test_a_choice_cannot_end_its_own_turn(backbone: InternVLBackbone) -> None:
    with pytest.raises(InvalidInputError, match=r"<\|im_end\|>"):
        choose(backbone, TALK, ("yes<|im_end|>",))


def test_processor_follows_the_trie() -> None:
    """Choices 1 2 9 and 1 3 9 with end 9."""
    processor = ChoiceProcessor([(1, 2, 9), (1, 3, 9)])
    prompt = [7, 7]
    for said, allowed in [([], [1]), ([1], [2, 3]), ([1, 3], [9]), ([1, 3, 9], [9]), ([1, 3, 9, 0], [9])]:
        scores = processor(torch.tensor([prompt + said]), torch.zeros(1, 10))
        assert (scores[0] > -math.inf).nonzero()[:, 0].tolist() == allowed


def test_drawn_choices_follow_their_probabilities(backbone: InternVLBackbone) -> None:
    """Two choices of one token each: the trie's draws weigh the first tokens, and so the choices. 400 draws, so that
    three standard deviations are at most 0.075."""
    pair = ("a", "b")
    spelled = choice_ids(backbone, pair)
    assert [len(ids) for ids in spelled] == [2, 2]
    assert spelled[0][-1] == end_of_turn(backbone)
    batch = backbone.encode(TALK[:1], to_answer=True)
    with torch.inference_mode():
        first = backbone.forward(batch).logits[0, -1]
    # a temperature at which both are drawn often enough
    gap = float(first[spelled[0][0]] - first[spelled[1][0]])
    temperature = max(1.0, abs(gap))
    share = 1 / (1 + math.exp(-gap / temperature))
    config = DecodingConfig(strategy="sample", choices=pair, temperature=temperature, seed=0, max_new_tokens=4)
    said = [answer.text for answer in generate(backbone, TALK[:1] * 400, config)]
    assert said.count("a") / 400 == pytest.approx(share, abs=0.075)
