"""Laws of positional contrastive decoding, on models of four architectures."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.vlm_bridge.decoding.tiny_language_models import (
    BASE,
    KINDS,
    cache_bytes,
    padded,
    random_ids,
    tiny_language_model,
)
from vlm_bridge.decoding.branches import Branches
from vlm_bridge.decoding.config import PcdConfig
from vlm_bridge.decoding.contrast import candidates, contrast_logits
from vlm_bridge.decoding.pcd import pcd_generate
from vlm_bridge.decoding.prompt_inputs import prompt_inputs
from vlm_bridge.decoding.rope_frequencies import perturbed_frequencies, rope_base
from vlm_bridge.decoding.row_rope import text_rotary

LONG, SHORT, NEW = 40, 23, 14


def _prompts() -> dict[str, torch.Tensor]:
    return padded([random_ids(1, LONG)[0], random_ids(1, SHORT, seed=2)[0]])


def _pcd(model: Any, config: PcdConfig, prompts: dict[str, torch.Tensor] | None = None, **options: Any) -> Any:
    settings = {"max_new_tokens": NEW, "do_sample": False, "custom_generate": pcd_generate, "pcd": config} | options
    return model.generate(**(prompts or _prompts()), **settings)


def _greedy(model: Any, **options: Any) -> torch.Tensor:
    return model.generate(**_prompts(), max_new_tokens=NEW, **({"do_sample": False} | options))


def _moved(model: Any) -> Any:
    """Makes the model its own local branch, by its own code."""
    rotary: Any = text_rotary(model)
    rotary.inv_freq = perturbed_frequencies(rotary.inv_freq, rope_base(rotary.config), PcdConfig())
    return model


@torch.inference_mode()
def _last_logits(model: Any, ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    places = (attention.cumsum(1) - 1).clamp(min=0)
    return model(input_ids=ids, attention_mask=attention, position_ids=places, use_cache=False).logits[:, -1]


def _two_models_without_cache(kind: str) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The same method by two models that read everything anew for each word; the ids and the scores of each step."""
    plain, local = tiny_language_model(kind), _moved(tiny_language_model(kind))
    prompts = _prompts()
    ids, attention, steps = prompts["input_ids"], prompts["attention_mask"], []
    for _ in range(NEW):
        logits = _last_logits(plain, ids, attention)
        scores = contrast_logits(logits, _last_logits(local, ids, attention), beta=2.5, allowed=candidates(logits, 30))
        steps.append(scores)
        ids = torch.cat([ids, scores.argmax(-1)[:, None]], 1)
        attention = torch.nn.functional.pad(attention, (0, 1), value=1)
    return ids, steps


@pytest.mark.parametrize("kind", KINDS)
def test_equals_two_models_that_keep_nothing(kind: str) -> None:
    """One doubled batch with a cache against two passes without, over 14 words of a batch padded on the left."""
    ids, steps = _two_models_without_cache(kind)
    model = tiny_language_model(kind)
    found = _pcd(model, PcdConfig(), return_dict_in_generate=True, output_scores=True)
    assert torch.equal(found.sequences, ids)
    for ours, theirs in zip(found.scores, steps, strict=True):
        # 3.5 times one branch less 2.5 times the other: six times the error of a single logit
        torch.testing.assert_close(ours, theirs, atol=6e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_both_branches_equal_two_passes(kind: str) -> None:
    prompts = _prompts()
    ids, attention = prompts["input_ids"], prompts["attention_mask"]
    model = tiny_language_model(kind)
    branches = Branches(model, prompt_inputs(model, ids, {"attention_mask": attention}), PcdConfig())
    with torch.inference_mode():
        found = branches.read_prompt()
        later = branches.read_words(torch.tensor([7, 8]))
    ids_later = torch.cat([ids, torch.tensor([[7], [8]])], 1)
    attention_later = torch.nn.functional.pad(attention, (0, 1), value=1)
    local = _moved(tiny_language_model(kind))
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(found.plain, _last_logits(model, ids, attention), **close)
    torch.testing.assert_close(found.local, _last_logits(local, ids, attention), **close)
    torch.testing.assert_close(later.plain, _last_logits(model, ids_later, attention_later), **close)
    torch.testing.assert_close(later.local, _last_logits(local, ids_later, attention_later), **close)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("config", [PcdConfig(alpha=0.0), PcdConfig(beta=0.0), PcdConfig(gamma=1, beta=7.0)])
def test_without_contrast_it_is_greedy_search(kind: str, config: PcdConfig) -> None:
    model = tiny_language_model(kind)
    assert torch.equal(_pcd(model, config), _greedy(model))


@pytest.mark.parametrize("kind", KINDS)
def test_with_contrast_it_is_not(kind: str) -> None:
    model = tiny_language_model(kind)
    assert not torch.equal(_pcd(model, PcdConfig()), _greedy(model))


def test_alpha_zero_makes_the_branches_equal() -> None:
    model = tiny_language_model()
    branches = Branches(model, prompt_inputs(model, random_ids(2, 20), {}), PcdConfig(alpha=0.0))
    with torch.inference_mode():
        found = branches.read_prompt()
    assert torch.equal(found.plain, found.local)


def test_beta_zero_draws_as_plain_sampling_among_the_candidates() -> None:
    model = tiny_language_model()
    options = {"do_sample": True, "temperature": 1.3}
    torch.manual_seed(5)
    ours = _pcd(model, PcdConfig(beta=0.0, gamma=6), top_k=0, **options)
    torch.manual_seed(5)
    assert torch.equal(ours, _greedy(model, top_k=6, **options))


def test_both_branches_read_the_word_that_was_drawn() -> None:
    """Drawn words, read by a model that was given them all at once, have the scores they were drawn by."""
    model = tiny_language_model()
    torch.manual_seed(3)
    found = _pcd(
        model, PcdConfig(), do_sample=True, temperature=4.0, top_k=0, return_dict_in_generate=True, output_logits=True
    )
    attention = torch.nn.functional.pad(_prompts()["attention_mask"], (0, NEW - 1), value=1)
    again = _last_logits(model, found.sequences[:, :-1], attention)
    torch.testing.assert_close(found.logits[-1], again, atol=1e-5, rtol=1e-5)
    assert len(set(found.sequences[0, LONG:].tolist())) > 3


def test_a_batch_equals_its_rows_alone() -> None:
    model = tiny_language_model()
    together = _pcd(model, PcdConfig(), return_dict_in_generate=True, output_scores=True)
    for row, (length, seed) in enumerate([(LONG, 1), (SHORT, 2)]):
        prompt = {"input_ids": random_ids(1, length, seed=seed)}
        alone = _pcd(model, PcdConfig(), prompt, return_dict_in_generate=True, output_scores=True)
        assert torch.equal(alone.sequences[0, length:], together.sequences[row, LONG:])
        for one, many in zip(alone.scores, together.scores, strict=True):
            torch.testing.assert_close(one[0], many[row], atol=1e-4, rtol=1e-4)


def test_keys_and_values_take_exactly_twice_the_room() -> None:
    model = tiny_language_model()
    ours = _pcd(model, PcdConfig(), return_dict_in_generate=True).past_key_values
    theirs = _greedy(model, return_dict_in_generate=True)
    assert cache_bytes(ours) == 2 * cache_bytes(theirs.past_key_values)  # type: ignore[attr-defined]


def test_the_model_decodes_as_before_afterwards() -> None:
    model = tiny_language_model()
    before = _greedy(model)
    buffer = text_rotary(model).inv_freq
    _pcd(model, PcdConfig())
    assert text_rotary(model).inv_freq is buffer
    assert torch.equal(_greedy(model), before)


@pytest.mark.parametrize("chunk", [1, 7, 40, 100])
def test_a_prompt_read_in_chunks_gives_the_same_words(chunk: int) -> None:
    model = tiny_language_model()
    whole = _pcd(model, PcdConfig(), return_dict_in_generate=True, output_scores=True)
    parts = _pcd(model, PcdConfig(), return_dict_in_generate=True, output_scores=True, prefill_chunk_size=chunk)
    assert torch.equal(whole.sequences, parts.sequences)
    assert torch.equal(whole.sequences, _pcd(model, PcdConfig(prompt_chunk=chunk)))
    torch.testing.assert_close(whole.scores[0], parts.scores[0], atol=1e-4, rtol=1e-4)


def test_short_prompts_are_left_alone_and_cost_nothing() -> None:
    """The short row of the batch is decoded greedily and has no second row in the cache, the long one is contrasted."""
    model = tiny_language_model()
    found = _pcd(model, PcdConfig(min_context=30), return_dict_in_generate=True)
    assert torch.equal(found.sequences[0], _pcd(model, PcdConfig())[0])
    assert torch.equal(found.sequences[1], _greedy(model)[1])
    assert found.past_key_values.layers[0].keys.shape[0] == 3
    none = _pcd(model, PcdConfig(min_context=1000), return_dict_in_generate=True)
    assert torch.equal(none.sequences, _greedy(model))
    assert none.past_key_values.layers[0].keys.shape[0] == 2


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "linear", "rope_theta": BASE, "factor": 4.0},
        {"rope_type": "yarn", "rope_theta": BASE, "factor": 4.0, "original_max_position_embeddings": 1024},
        {
            "rope_type": "llama3", "rope_theta": BASE, "factor": 8.0, "original_max_position_embeddings": 64,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        },
    ],
)  # fmt: skip
def test_scaled_positions_start_from_the_frequencies_in_use(rope: dict[str, Any]) -> None:
    model = tiny_language_model("llama", rope_parameters=rope)
    assert torch.equal(_pcd(model, PcdConfig(alpha=0.0)), _greedy(model))
    assert not torch.equal(_pcd(model, PcdConfig()), _greedy(model))
