"""Positional contrastive decoding inside transformers' `generate`: ends, processors, streams, and what is refused."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer

from tests.vlm_bridge.decoding.tiny_language_models import WORDS, padded, random_ids, tiny_language_model
from vlm_bridge.decoding.config import PcdConfig
from vlm_bridge.decoding.pcd import pcd_generate
from vlm_bridge.errors import InvalidInputError

LENGTH, NEW = 30, 12


def _ids(rows: int = 2) -> torch.Tensor:
    return random_ids(rows, LENGTH)


def _pcd(model: Any, ids: torch.Tensor, **options: Any) -> torch.Tensor:
    settings: dict[str, Any] = {"max_new_tokens": NEW, "do_sample": False, "custom_generate": pcd_generate}
    return model.generate(ids, **(settings | options))


def test_a_row_that_ends_is_padded_while_the_other_goes_on() -> None:
    model = tiny_language_model()
    free = _pcd(model, _ids())[:, LENGTH:]
    # a word that the first row says before the second one does
    end = next(int(word) for word in free[0] if word not in free[1])
    place = free[0].tolist().index(end)
    ended = _pcd(model, _ids(), eos_token_id=end, pad_token_id=0)[:, LENGTH:]
    assert torch.equal(ended[0, : place + 1], free[0, : place + 1])
    assert (ended[0, place + 1 :] == 0).all()
    assert torch.equal(ended[1], free[1])


class _SaysOnly(LogitsProcessor):
    """Forbids every word but one."""

    def __init__(self, word: int, *, only_masks: bool) -> None:
        self.only_masks = only_masks
        self._word = word

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        left = torch.full_like(scores, -math.inf)
        left[:, self._word] = scores[:, self._word]
        return left


@pytest.mark.parametrize("only_masks", [True, False])
def test_a_word_that_is_no_candidate_is_said_if_nothing_else_may_be(only_masks: bool) -> None:
    """With one candidate, and all words but another forbidden; the row must not be left without any word."""
    model = tiny_language_model()
    processors = LogitsProcessorList([_SaysOnly(17, only_masks=only_masks)])
    found = _pcd(model, _ids(), pcd=PcdConfig(gamma=1), logits_processor=processors, do_sample=True)
    assert (found[:, LENGTH:] == 17).all()


def test_processors_see_the_contrasted_scores() -> None:
    """Outside the 5 candidates of each row there is -inf when the processors are called."""
    seen: list[int] = []

    class Counting(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            seen.extend((scores > -math.inf).sum(1).tolist())
            return scores

    _pcd(tiny_language_model(), _ids(), pcd=PcdConfig(gamma=5), logits_processor=LogitsProcessorList([Counting()]))
    assert seen == [5] * (2 * NEW)


def test_a_repetition_penalty_reaches_it() -> None:
    model = tiny_language_model()
    free = _pcd(model, _ids(1))[0, LENGTH:].tolist()
    penalised = _pcd(model, _ids(1), repetition_penalty=100.0)[0, LENGTH:].tolist()
    assert len(set(penalised)) > len(set(free))


class _Heard(BaseStreamer):
    def __init__(self) -> None:
        self.words: list[list[int]] = []
        self.over = False

    def put(self, value: torch.Tensor) -> None:
        self.words.append(value.tolist())

    def end(self) -> None:
        self.over = True


def test_words_are_streamed_as_they_are_chosen() -> None:
    model, heard = tiny_language_model(), _Heard()
    found = _pcd(model, _ids(), custom_generate=partial(pcd_generate, streamer=heard))
    assert heard.words == found[:, LENGTH:].T.tolist()
    assert heard.over


def test_criteria_of_the_caller_end_it() -> None:
    class AfterThree(StoppingCriteria):
        def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            return torch.full((len(input_ids),), input_ids.shape[1] >= LENGTH + 3)

    found = _pcd(tiny_language_model(), _ids(), stopping_criteria=StoppingCriteriaList([AfterThree()]))
    assert found.shape[1] == LENGTH + 3


def test_called_directly_it_does_the_same() -> None:
    model = tiny_language_model()
    through = _pcd(model, _ids())
    settings = GenerationConfig(max_new_tokens=NEW, do_sample=False)
    assert torch.equal(pcd_generate(model, _ids(), generation_config=settings), through)  # type: ignore[arg-type]
    end = int(through[0, LENGTH + 2])
    settings = GenerationConfig(max_new_tokens=NEW, eos_token_id=end)
    ended = pcd_generate(model, _ids(1), generation_config=settings)
    assert ended[0].tolist() == through[0, : LENGTH + through[0, LENGTH:].tolist().index(end) + 1].tolist()  # type: ignore[index]


@pytest.mark.parametrize("only_embeddings", [True, False])
def test_prompts_may_be_embeddings(only_embeddings: bool) -> None:
    model = tiny_language_model()
    prompts = padded([_ids()[0], random_ids(1, 17, seed=3)[0]])
    embeddings = model.get_input_embeddings()(prompts["input_ids"]).detach()
    given: dict[str, Any] = {"inputs_embeds": embeddings, "attention_mask": prompts["attention_mask"]}
    if not only_embeddings:
        given["input_ids"] = prompts["input_ids"]
    options: dict[str, Any] = {"max_new_tokens": NEW, "do_sample": False, "custom_generate": pcd_generate}
    found = model.generate(**given, **options)
    assert torch.equal(found[:, -NEW:], model.generate(**prompts, **options)[:, -NEW:])


def test_several_answers_to_one_prompt() -> None:
    torch.manual_seed(0)
    found = _pcd(tiny_language_model(), _ids(1), do_sample=True, temperature=5.0, num_return_sequences=3)
    assert found.shape == (3, LENGTH + NEW)
    assert len({tuple(row) for row in found.tolist()}) == 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_beams": 2}, "num_beams > 1"),
        ({"prompt_lookup_num_tokens": 3}, "assisted decoding"),
        ({"cache_implementation": "static"}, "cache_implementation='static'"),
        ({"output_hidden_states": True, "return_dict_in_generate": True}, "output_hidden_states"),
    ],
)
def test_other_modes_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        _pcd(tiny_language_model(), _ids(), **options)


def test_a_cache_that_has_begun_is_refused() -> None:
    model, cache = tiny_language_model(), DynamicCache()
    model(_ids()[:, :10], past_key_values=cache)
    with pytest.raises(InvalidInputError, match="found a cache of 10 tokens"):
        _pcd(model, _ids(), past_key_values=cache)


def test_padding_on_the_right_is_refused() -> None:
    attention = torch.ones(2, LENGTH, dtype=torch.long)
    attention[0, -4:] = 0
    with pytest.raises(InvalidInputError, match="Pad on the left"):
        _pcd(tiny_language_model(), _ids(), attention_mask=attention)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="token_type_ids"):
        pcd_generate(tiny_language_model(), _ids(), token_type_ids=torch.zeros(2, LENGTH))


def test_more_candidates_than_words_are_all_words() -> None:
    model = tiny_language_model()
    all_words = _pcd(model, _ids(), pcd=PcdConfig(gamma=WORDS))
    assert torch.equal(_pcd(model, _ids(), pcd=PcdConfig(gamma=10 * WORDS)), all_words)
