"""Conversations as ids: as the chat template prints them, and nothing a user types changes their structure."""

from __future__ import annotations

import unicodedata
from dataclasses import astuple

import pytest
from PIL import Image

from tests.vlm_bridge.prompts.hostile_texts import hostile_texts
from tests.vlm_bridge.tiny_models import tiny_tokenizer
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.prompts.conversation import Conversation, Message, ask
from vlm_bridge.prompts.encode_conversation import EncodedConversation, encode_conversation
from vlm_bridge.prompts.new_tokens import add_special_tokens
from vlm_bridge.prompts.special_tokens import SpecialTokens

TOKENS = SpecialTokens()
TOKENIZER = tiny_tokenizer()
add_special_tokens(TOKENIZER, TOKENS)
PICTURE = Image.new("RGB", (4, 4))
# The template of InternVL3 in the format of transformers.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def talk(*messages: Message) -> Conversation:
    return Conversation(messages=messages)


def user(text: str, *images: Image.Image) -> Message:
    return Message(role="user", text=text, images=images)


def answer(text: str) -> Message:
    return Message(role="assistant", text=text)


def encoded(
    conversation: Conversation, tile_counts: tuple[int, ...] = (), *, to_answer: bool = False, think: bool = False
) -> EncodedConversation:
    return encode_conversation(
        conversation, TOKENIZER, TOKENS, tile_counts, tokens_per_tile=2, to_answer=to_answer, think=think
    )


def printed(conversation: Conversation, tile_counts: tuple[int, ...], to_answer: bool) -> str:
    """The conversation by the template of transformers, its pictures expanded as `InternVLProcessor` does."""
    messages = [
        {"role": turn.role, "content": [{"type": "image"}] * len(turn.images) + [{"type": "text", "text": turn.text}]}
        for turn in conversation.messages
    ]
    text = TOKENIZER.apply_chat_template(
        messages, chat_template=TEMPLATE, tokenize=False, add_generation_prompt=to_answer
    )
    assert isinstance(text, str)
    first, *rest = text.split("<IMG_CONTEXT>")
    blocks = ["<img>" + "<IMG_CONTEXT>" * (2 * count) + "</img>" for count in tile_counts]
    return first + "".join(block + part for block, part in zip(blocks, rest, strict=True))


CONVERSATIONS = {
    "question": (ask("what is this?"), ()),
    "system": (talk(Message(role="system", text="Be brief."), user("the thing")), ()),
    "picture": (ask("the liver?", PICTURE), (1,)),
    "two pictures": (ask("\nwhat changed?", PICTURE, PICTURE), (3, 13)),
    "leading new lines": (ask("\n\n  two lines  \n\n"), ()),
    "picture alone": (ask("", PICTURE), (1,)),
    "several turns": (
        talk(user("first", PICTURE), answer("The <p>liver</p> [SEG]."), user("then", PICTURE), answer("no")),
        (2, 1),
    ),
    "thinking": (talk(user("why"), answer("<think>\nhm\n</think>\n\nthus")), ()),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_ids_are_those_of_the_printed_template(name: str) -> None:
    conversation, tile_counts = CONVERSATIONS[name]
    to_answer = conversation.messages[-1].role == "user"
    found = encoded(conversation, tile_counts, to_answer=to_answer)
    text = printed(conversation, tile_counts, to_answer)
    assert found.ids == TOKENIZER.encode(text, add_special_tokens=False)


def test_answers_are_what_the_assistant_says_with_its_end_of_turn() -> None:
    found = encoded(talk(user("a?", PICTURE), answer("<think>b</think>c [SEG]"), user("d?"), answer("e")), (1,))
    spoken = [number for number, said in zip(found.ids, found.answers, strict=True) if said]
    assert TOKENIZER.decode(spoken) == "<think>b</think>c [SEG]<|im_end|>e<|im_end|>"
    rest = [number for number, said in zip(found.ids, found.answers, strict=True) if not said]
    assert TOKENIZER.decode(rest) == (
        "<|im_start|>user\n<img><IMG_CONTEXT><IMG_CONTEXT></img>\na?<|im_end|>\n<|im_start|>assistant\n\n"
        "<|im_start|>user\nd?<|im_end|>\n<|im_start|>assistant\n\n"
    )


def test_answer_that_begins_with_a_new_line_is_learned_as_it_will_be_generated() -> None:
    # Generation goes on after "assistant\n"; were both new lines one token, learning would see another prompt.
    opened = encoded(ask("a"), to_answer=True).ids
    whole = encoded(talk(user("a"), answer("\nb")))
    assert whole.ids[: len(opened)] == opened
    assert not any(whole.answers[: len(opened)])


def test_thinking_is_opened_with_its_token_and_a_new_line() -> None:
    plain = encoded(ask("a"), to_answer=True)
    thinking = encoded(ask("a"), to_answer=True, think=True)
    assert TOKENIZER.decode(thinking.ids[len(plain.ids) :]) == "<think>\n"
    assert thinking.ids[len(plain.ids)] == TOKENIZER.added_tokens_encoder["<think>"]
    assert not any(thinking.answers)


@pytest.mark.parametrize("text", [pytest.param(text, id=ascii(name)) for name, text in hostile_texts()])
def test_hostile_texts_change_no_token_structure(text: str) -> None:
    def said(text: str) -> EncodedConversation:
        system = Message(role="system", text=text)
        return encoded(talk(system, user(text, PICTURE), answer("in [SEG]"), user(text)), (3,), to_answer=True)

    special = set(TOKENIZER.get_added_vocab().values())
    harmless, hostile = said("x"), said(text)
    structure = [number for number in harmless.ids if number in special]
    # Three turns, one open; 6 context tokens between two; one [SEG].
    assert len(structure) == 3 * 2 + 2 + 1 + 6 + 2 + 1
    assert [number for number in hostile.ids if number in special] == structure
    # The places: between the special tokens that do not touch the text, everything is as it was.
    assert segments(hostile, special, text) == segments(harmless, special, "x")
    assert sum(hostile.answers) == sum(harmless.answers)


def segments(found: EncodedConversation, special: set[int], text: str) -> list[str]:
    """What is decoded between special tokens, with the text of the user taken out once where it must stand."""
    runs: list[list[int]] = [[]]
    for number in found.ids:
        if number in special:
            runs.append([])
        else:
            runs[-1].append(number)
    expected = unicodedata.normalize("NFC", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    decoded = [TOKENIZER.decode(run) for run in runs]
    return [run.removesuffix(expected) if run.startswith(("system\n", "user\n", "\n")) else run for run in decoded]


@pytest.mark.parametrize("token", ["<|im_start|>", "<|im_end|>", "<img>", "<IMG_CONTEXT>", "</img>"])
def test_assistant_may_not_write_turns_or_pictures(token: str) -> None:
    with pytest.raises(InvalidInputError, match="at character 2"):
        encoded(talk(user("a"), answer(f"b {token}")))


def test_other_added_tokens_in_an_answer_stay_text() -> None:
    found = encoded(talk(user("a"), answer("<|endoftext|><video>")))
    assert not {"<|endoftext|>", "<video>"} & set(TOKENIZER.convert_ids_to_tokens(found.ids))


@pytest.mark.parametrize("tile_counts", [(), (1, 1), (0,)])
def test_tile_counts_that_do_not_fit_are_refused(tile_counts: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="each of its 1 pictures"):
        encoded(ask("a", PICTURE), tile_counts)


def test_answer_after_an_answer_and_thinking_without_one_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="user's turn last"):
        encoded(talk(user("a"), answer("b")), to_answer=True)
    with pytest.raises(InvalidInputError, match="think without to_answer"):
        encoded(ask("a"), think=True)


def test_missing_special_token_is_named_only_when_needed() -> None:
    bare = tiny_tokenizer()
    question, reply = talk(user("[SEG]")), talk(user("a"), answer("b [SEG]"))
    assert encode_conversation(question, bare, TOKENS, (), 1, to_answer=True).ids
    with pytest.raises(BackboneError, match=r"'\[SEG\]'"):
        encode_conversation(reply, bare, TOKENS, (), 1, to_answer=False)


def test_tokens_may_be_spelled_otherwise() -> None:
    tokens = SpecialTokens(seg="<SEG>", phrase_start="<SEG>>", phrase_end="</SEG>>")
    tokenizer = tiny_tokenizer()
    new = add_special_tokens(tokenizer, tokens)
    found = encode_conversation(talk(user("[SEG]"), answer("<SEG>><SEG>")), tokenizer, tokens, (), 1, to_answer=False)
    # The longer one first, although the shorter one is its beginning.
    assert [number for number in found.ids if number in new] == [new[1], new[0]]


def test_every_token_of_the_template_is_known() -> None:
    assert all(TOKENIZER.backend_tokenizer.token_to_id(text) is not None for text in astuple(TOKENS))
