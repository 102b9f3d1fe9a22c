"""Special tokens in a tokenizer that lacks them."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer

from tests.vlm_bridge.tiny_models import tiny_tokenizer
from vlm_bridge.prompts.new_tokens import add_special_tokens
from vlm_bridge.prompts.special_tokens import SpecialTokens


def test_only_lacking_tokens_are_added_in_order_and_once() -> None:
    tokenizer = tiny_tokenizer()
    size = len(tokenizer)
    known = tokenizer.get_added_vocab()
    assert add_special_tokens(tokenizer, SpecialTokens()) == [size, size + 1, size + 2]
    assert tokenizer.convert_ids_to_tokens([size, size + 1, size + 2]) == ["[SEG]", "<p>", "</p>"]
    assert known.items() <= tokenizer.get_added_vocab().items()
    assert add_special_tokens(tokenizer, SpecialTokens()) == []
    assert len(tokenizer) == size + 3


def test_one_spelling_for_two_purposes_is_one_token() -> None:
    tokenizer = tiny_tokenizer()
    assert add_special_tokens(tokenizer, SpecialTokens(phrase_start="|", seg="@@", phrase_end="@@")) == [270]
    # "|" is a byte of the vocabulary already.
    assert tokenizer.backend_tokenizer.token_to_id("@@") == 270


def test_answers_keep_their_tokens_when_structure_is_left_out() -> None:
    tokenizer = tiny_tokenizer()
    add_special_tokens(tokenizer, SpecialTokens(turn_end="<|end of turn|>"))
    ids = tokenizer.encode("the <p>liver</p> [SEG]<|end of turn|>", add_special_tokens=False)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the <p>liver</p> [SEG]"


def test_tokens_survive_saving(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    new = add_special_tokens(tokenizer, SpecialTokens())
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.encode("[SEG]<p></p>", add_special_tokens=False) == new
    assert add_special_tokens(again, SpecialTokens()) == []
