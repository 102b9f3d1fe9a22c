"""[SEG] states: the right places, the right phrases, and the same numbers as in training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vlm_bridge.decoding.tiny_backbone import picture, tiny_backbone
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.protocol import BackboneOutput
from vlm_bridge.decoding.answer_text import answer_ids
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.generate import generate
from vlm_bridge.decoding.seg_states import SegState, phrase_before, read_seg_states, seg_states
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.prompts.conversation import Conversation, Message, ask
from vlm_bridge.prompts.prompt_batch import PromptBatch
from vlm_bridge.prompts.special_tokens import SpecialTokens

NONE = "nothing there"
ONE = "it is <p> the left kidney </p> [SEG]."
THREE = "<p> liver </p> [SEG] and [SEG], also <p>x</p> <p> spleen</p> [SEG]"
ANSWERS = [NONE, ONE, THREE]
TALK = [
    ask("no picture"),
    ask("where is it, if anywhere?", picture()),
    ask("both", picture(28, 28, seed=1), picture(seed=2)),
]
"""0, 1 and 2 pictures of one and of three tiles: every row is padded by another length."""


class NumberedPlaces(InternVLBackbone):
    """The state of the token at place i of a row, padding not counted, is [i, id of the token]."""

    def forward(self, batch: PromptBatch, *, hidden: bool = False) -> BackboneOutput:
        places = batch.attention.long().cumsum(1) - 1
        self.padded_on_the_left = bool(batch.attention[:, -1].all())
        states = torch.stack([places, batch.ids], -1).float()
        return BackboneOutput(logits=torch.zeros(*batch.ids.shape, 1), hidden=states if hidden else None)


@pytest.fixture(scope="module")
def backbone() -> InternVLBackbone:
    return tiny_backbone()


@pytest.fixture(scope="module")
def numbered(backbone: InternVLBackbone) -> NumberedPlaces:
    return NumberedPlaces(backbone.model, backbone.tokenizer, backbone.tiling)


def _answered(conversation: Conversation, answer: str) -> Conversation:
    return Conversation(messages=(*conversation.messages, Message(role="assistant", text=answer)))


def _ids_in_training(backbone: InternVLBackbone, conversation: Conversation, answer: str) -> list[int]:
    return backbone.encode([_answered(conversation, answer)], to_answer=False).ids[0].tolist()


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(("seg_state", "back"), [("predicting", 1), ("at_token", 0)])
def test_states_are_those_of_the_right_places(
    numbered: NumberedPlaces, seg_state: SegState, back: int, as_text: bool
) -> None:
    answers: list[Any] = [text if as_text else answer_ids(numbered, text) for text in ANSWERS]
    found = read_seg_states(numbered, TALK, answers, seg_state=seg_state)
    seg = numbered.tokenizer.convert_tokens_to_ids("[SEG]")
    assert numbered.padded_on_the_left
    for conversation, text, states in zip(TALK, ANSWERS, found, strict=True):
        ids = _ids_in_training(numbered, conversation, text)
        places = [place for place, number in enumerate(ids) if number == seg]
        wanted = [[place - back, ids[place - back]] for place in places]
        assert states.hidden.tolist() == wanted
        assert len(states.hidden) == text.count("[SEG]") == len(states.spans) == len(states.phrases)


@pytest.mark.parametrize("seg_state", ["predicting", "at_token"])
def test_the_second_pass_equals_teacher_forcing(backbone: InternVLBackbone, seg_state: SegState) -> None:
    found = read_seg_states(backbone, TALK, ANSWERS, seg_state=seg_state)
    taught = backbone.encode([_answered(*pair) for pair in zip(TALK, ANSWERS, strict=True)], to_answer=False)
    with torch.inference_mode():
        hidden = backbone.forward(taught, hidden=True).hidden
    assert hidden is not None
    seg = backbone.tokenizer.convert_tokens_to_ids("[SEG]")
    for row, states in enumerate(found):
        places = (taught.ids[row] == seg).nonzero()[:, 0] - int(seg_state == "predicting")
        torch.testing.assert_close(states.hidden, hidden[row, places], atol=1e-5, rtol=1e-5)


def test_states_of_generated_ids_are_those_the_words_were_chosen_from(backbone: InternVLBackbone) -> None:
    """The head on the state before a [SEG] gives the logits that decoding with its cache saw there."""
    talk = TALK[1:2]
    ids = answer_ids(backbone, ONE)
    states = seg_states(backbone, talk[0], ids)
    batch = backbone.encode(talk, to_answer=True)
    length = batch.ids.shape[1]
    said = torch.tensor([ids[: int(states.places[0])]])
    forced = torch.cat([batch.ids, said], 1)
    output = backbone.model.generate(
        input_ids=forced, attention_mask=torch.ones_like(forced), pixel_values=batch.tiles.pixels,  # type: ignore[union-attr]
        max_new_tokens=1, do_sample=False, return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    logits = backbone.model.lm_head(states.hidden)
    torch.testing.assert_close(logits[0], output.logits[0][0], atol=1e-4, rtol=1e-4)
    assert length + len(said[0]) == forced.shape[1]


def test_an_answer_of_generate_can_be_read(backbone: InternVLBackbone) -> None:
    answers = generate(backbone, TALK, DecodingConfig(max_new_tokens=8))
    found = read_seg_states(backbone, TALK, [answer.ids for answer in answers])
    assert [states.answer for states in found] == [answer.text for answer in answers]


def test_phrases_and_spans(backbone: InternVLBackbone) -> None:
    """The second [SEG] has no phrase of its own; the third takes the nearer of two."""
    states = seg_states(backbone, TALK[0], THREE)
    assert [THREE[start:end] for start, end in states.spans] == ["[SEG]"] * 3
    assert [phrase and phrase.text for phrase in states.phrases] == ["liver", None, "spleen"]
    for phrase in states.phrases:
        assert phrase is None or states.answer[phrase.start : phrase.end] == phrase.text
    assert [answer_ids(backbone, THREE)[place] for place in states.places] == [
        backbone.tokenizer.convert_tokens_to_ids("[SEG]")
    ] * 3


@given(before=st.text("ab <p>/", max_size=20), phrase=st.text("ab é", max_size=8), after=st.text("ab ", max_size=5))
def test_a_marked_phrase_is_found_whatever_stands_before(before: str, phrase: str, after: str) -> None:
    text = f"{before}<p>{phrase}</p>{after}[SEG]"
    found = phrase_before(text, 0, len(text) - len("[SEG]"), SpecialTokens())
    assert found is not None
    assert found.text == phrase.strip() == text[found.start : found.end]


@pytest.mark.parametrize("text", ["", "<p> open", "closed </p>", "</p> wrong way <p>"])
def test_no_phrase_without_both_marks(text: str) -> None:
    assert phrase_before(text, 0, len(text), SpecialTokens()) is None


def test_thoughts_open_the_prompt_in_both_passes(numbered: NumberedPlaces) -> None:
    """The mark of thoughts and a new line are two tokens more."""
    plain = seg_states(numbered, TALK[0], ONE)
    thought = seg_states(numbered, TALK[0], ONE, think=True)
    assert (thought.hidden[0, 0] - plain.hidden[0, 0]).item() == 2


def test_a_seg_at_the_very_beginning_has_the_last_state_of_the_prompt(numbered: NumberedPlaces) -> None:
    states = seg_states(numbered, TALK[1], "[SEG]")
    assert states.hidden[0, 0] == numbered.encode(TALK[1:2], to_answer=True).ids.shape[1] - 1


def test_letters_are_no_token(backbone: InternVLBackbone) -> None:
    """Byte by byte it reads the same, but it is not the token that masks are trained for."""
    spelled = [backbone.tokenizer.convert_tokens_to_ids(letter) for letter in "[SEG]"]
    seg = backbone.tokenizer.convert_tokens_to_ids("[SEG]")
    states = seg_states(backbone, TALK[0], [*spelled, seg])
    assert states.answer == "[SEG][SEG]"
    assert states.spans == ((5, 10),)
    assert states.places.tolist() == [5]


def test_as_many_answers_as_conversations(backbone: InternVLBackbone) -> None:
    assert read_seg_states(backbone, [], []) == []
    with pytest.raises(InvalidInputError, match="found 1 answers to 3 conversations"):
        read_seg_states(backbone, TALK, [ONE])
