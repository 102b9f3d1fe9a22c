"""Answers of a whole backbone: each strategy, ends, thoughts, streams and seeds."""

from __future__ import annotations

import pytest
import torch

from tests.vlm_bridge.decoding.tiny_backbone import picture, tiny_backbone
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.decoding.answer_text import answer_ids, decoded
from vlm_bridge.decoding.catalogue import STRATEGIES
from vlm_bridge.decoding.config import DecodingConfig, PcdConfig
from vlm_bridge.decoding.generate import Answer, generate, split_think
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.prompts.conversation import Conversation, Message, ask
from vlm_bridge.prompts.special_tokens import SpecialTokens

NEW = 12
TALK = [ask("what is it?", picture()), ask("and now?", picture(28, 28, seed=1), picture(seed=2)), ask("well")]


@pytest.fixture(scope="module")
def backbone() -> InternVLBackbone:
    return tiny_backbone()


def _config(strategy: str, **settings: object) -> DecodingConfig:
    return DecodingConfig(**({"strategy": strategy, "max_new_tokens": NEW, "seed": 0} | settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_answers_every_conversation(backbone: InternVLBackbone, strategy: str) -> None:
    answers = generate(backbone, TALK, _config(strategy))
    assert len(answers) == len(TALK)
    for answer in answers:
        assert answer.text == decoded(backbone.tokenizer, answer.ids.tolist())
        assert answer.think is None
        assert answer.finished == ("length" if len(answer.ids) == NEW else "end")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pieces_join_to_the_answer(backbone: InternVLBackbone, strategy: str) -> None:
    """The random model writes single bytes, many of which are no character alone."""
    pieces: list[str] = []
    (answer,) = generate(backbone, TALK[:1], _config(strategy, temperature=3.0, max_new_tokens=60), pieces.append)
    assert "".join(pieces) == answer.text
    assert len(pieces) > 1


@pytest.mark.parametrize("strategy", ["greedy", "pcd"])
@pytest.mark.parametrize("language", ["qwen2", "qwen3", "llama"])
def test_conversations_together_answer_as_alone(strategy: str, language: str) -> None:
    """With pictures of different sizes, so that rows are padded."""
    backbone = tiny_backbone(language)  # type: ignore[arg-type]
    together = generate(backbone, TALK, _config(strategy))
    alone = [generate(backbone, [one], _config(strategy))[0] for one in TALK]
    assert [answer.ids.tolist() for answer in together] == [answer.ids.tolist() for answer in alone]


def test_greedy_is_the_likeliest_word_of_a_whole_pass(backbone: InternVLBackbone) -> None:
    batch = backbone.encode(TALK[:1], to_answer=True)
    with torch.inference_mode():
        first = backbone.forward(batch).logits[0, -1].argmax()
    assert generate(backbone, TALK[:1], _config("greedy"))[0].ids[0] == first


def test_contrast_with_pictures_is_greedy_without_its_contrast(backbone: InternVLBackbone) -> None:
    plain = generate(backbone, TALK, _config("greedy"))
    none = generate(backbone, TALK, _config("pcd", pcd=PcdConfig(alpha=0.0)))
    some = generate(backbone, TALK, _config("pcd"))
    assert [answer.text for answer in none] == [answer.text for answer in plain]
    assert [answer.text for answer in some] != [answer.text for answer in plain]


@pytest.mark.parametrize("strategy", ["sample", "pcd_sample"])
def test_seeds_repeat_and_leave_the_generator_alone(backbone: InternVLBackbone, strategy: str) -> None:
    def texts(seed: int) -> list[str]:
        return [one.text for one in generate(backbone, TALK, _config(strategy, seed=seed, temperature=3.0))]

    torch.manual_seed(11)
    untouched = torch.rand(1)
    torch.manual_seed(11)
    first = texts(1)
    assert torch.equal(torch.rand(1), untouched)
    assert texts(1) == first
    assert texts(2) != first


def test_a_stop_text_ends_the_answer_and_is_not_part_of_it(backbone: InternVLBackbone) -> None:
    config = _config("greedy", max_new_tokens=40)
    whole = generate(backbone, TALK[:1], config)[0].text
    stop = whole[len(whole) // 2 :][:2]
    pieces: list[str] = []
    stopped = _config("greedy", max_new_tokens=40, stop=(stop,))
    (answer,) = generate(backbone, TALK[:1], stopped, pieces.append)
    assert answer.finished == "stop"
    assert answer.text == "".join(pieces) == whole[: whole.index(stop)]
    assert len(answer.ids) < 40


@pytest.mark.parametrize("strategy", ["greedy", "pcd", "pcd_sample"])
def test_only_choices_can_be_spelled(backbone: InternVLBackbone, strategy: str) -> None:
    choices = ("left", "left lung", "the right lung", "à droite")
    answers = generate(backbone, TALK, _config(strategy, choices=choices, max_new_tokens=40, pcd=PcdConfig(gamma=1)))
    assert {answer.text for answer in answers} <= set(choices)
    assert {answer.finished for answer in answers} == {"end"}


def test_choices_that_do_not_fit_are_refused(backbone: InternVLBackbone) -> None:
    with pytest.raises(InvalidInputError, match="expected max_new_tokens of 6 at least"):
        generate(backbone, TALK, _config("greedy", choices=("abcde",), max_new_tokens=5))


def test_opened_thoughts_come_back_apart(backbone: InternVLBackbone) -> None:
    """The random model never closes them: everything is thought."""
    (answer,) = generate(backbone, TALK[:1], _config("greedy", think=True))
    assert answer.text == ""
    assert answer.think == decoded(backbone.tokenizer, answer.ids.tolist()).strip()


@pytest.mark.parametrize(
    ("said", "opened", "think", "text"),
    [
        ("so\n</think>\n\nleft", True, "so", "left"),
        ("<think>\nso\n</think>\n\nleft", False, "so", "left"),
        ("<think>\nso\n</think>\n\nleft", True, "so", "left"),
        ("so", True, "so", ""),
        (" left </think>", False, None, " left </think>"),
        ("</think>left", True, "", "left"),
    ],
)
def test_thoughts_and_answer(said: str, opened: bool, think: str | None, text: str) -> None:
    assert split_think(said, SpecialTokens(), opened=opened) == (think, text)


def test_special_tokens_of_answers_are_kept_and_ends_are_not(backbone: InternVLBackbone) -> None:
    ids = answer_ids(backbone, "<p> it </p> [SEG]")
    assert decoded(backbone.tokenizer, ids) == "<p> it </p> [SEG]"
    assert ids[-1] == backbone.tokenizer.convert_tokens_to_ids("[SEG]")


def test_nothing_asked_nothing_answered(backbone: InternVLBackbone) -> None:
    assert generate(backbone, []) == []


def test_what_cannot_be_answered(backbone: InternVLBackbone) -> None:
    with pytest.raises(InvalidInputError, match="expected one of greedy, sample, pcd, pcd_sample, found 'beams'"):
        generate(backbone, TALK, _config("beams"))
    with pytest.raises(InvalidInputError, match="expected one conversation, found 3"):
        generate(backbone, TALK, on_text=print)
    answered = Conversation(messages=(Message(role="user", text="?"), Message(role="assistant", text="!")))
    with pytest.raises(InvalidInputError, match=r"found an answer at the end of \[1\]"):
        generate(backbone, [TALK[0], answered])


def test_an_answer_says_how_it_ended(backbone: InternVLBackbone) -> None:
    """Where the first word it would say is made the end of turn, the answer is empty and ended by itself."""
    (free,) = generate(backbone, TALK[:1], _config("greedy"))
    backbone = tiny_backbone()
    backbone.model.generation_config.eos_token_id = [int(free.ids[0])]
    (answer,) = generate(backbone, TALK[:1], _config("greedy"))
    assert answer == Answer(text="", think=None, ids=answer.ids, finished="end")
    assert len(answer.ids) == 0
