"""New rows of a model: they begin as the mean, and learn alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import InternVLForConditionalGeneration

from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.prompts.new_rows import add_tokens_to_model, check_no_decay, train_only_rows
from vlm_bridge.prompts.new_tokens import add_special_tokens
from vlm_bridge.prompts.special_tokens import SpecialTokens

TOKENS = SpecialTokens()


def embedding(model: InternVLForConditionalGeneration) -> nn.Parameter:
    return model.get_input_embeddings().weight


@pytest.mark.parametrize("language", ["qwen2", "qwen3", "llama"])
@pytest.mark.parametrize("tied", [False, True])
def test_new_rows_are_the_mean_and_the_others_stay(language: str, tied: bool) -> None:
    model, tokenizer = tiny_internvl(language, tied=tied), tiny_tokenizer()
    old_embedding, old_head = embedding(model).detach().clone(), model.lm_head.weight.detach().clone()
    rows = add_tokens_to_model(model, tokenizer, TOKENS)
    assert rows == [270, 271, 272]
    assert tokenizer.convert_ids_to_tokens(rows) == ["[SEG]", "<p>", "</p>"]
    assert (model.lm_head.weight is embedding(model)) == tied
    for now, old in ((embedding(model), old_embedding), (model.lm_head.weight, old_head)):
        assert torch.equal(now[:270], old)
        assert torch.equal(now[270:], old.mean(dim=0).expand(3, -1))
    assert model.config.get_text_config().vocab_size == 273
    logits = model(input_ids=torch.tensor([[1, *rows]])).logits
    assert logits.shape == (1, 4, 273)


def test_new_tokens_are_as_likely_as_an_average_one_at_first() -> None:
    model, tokenizer = tiny_internvl(), tiny_tokenizer()
    rows = add_tokens_to_model(model, tokenizer, TOKENS)
    logits = model(input_ids=torch.tensor([[1, 2, 3]])).logits[0]
    # The head has no bias, so the logit of a mean row is the mean of the logits.
    torch.testing.assert_close(logits[:, rows[0]], logits[:, :270].mean(dim=1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mean_of_half_precision_rows_is_rounded_once(dtype: torch.dtype) -> None:
    model, tokenizer = tiny_internvl().to(dtype), tiny_tokenizer()
    with torch.no_grad():
        # Sums of 270 such rows are beyond the range of float16, and far beyond the eight bits of bfloat16.
        embedding(model).add_(300)
    mean = embedding(model).detach().double().mean(dim=0)
    add_tokens_to_model(model, tokenizer, TOKENS)
    assert torch.equal(embedding(model)[271], mean.to(dtype))


def test_second_time_nothing_is_new() -> None:
    model, tokenizer = tiny_internvl(), tiny_tokenizer()
    add_tokens_to_model(model, tokenizer, TOKENS)
    with torch.no_grad():
        embedding(model)[270:] = 7
    assert add_tokens_to_model(model, tokenizer, TOKENS) == []
    assert torch.all(embedding(model)[270:] == 7)


def test_tokenizer_that_is_ahead_of_its_model_is_caught_up_with() -> None:
    model, tokenizer = tiny_internvl(), tiny_tokenizer()
    add_special_tokens(tokenizer, TOKENS)
    mean = embedding(model).detach().mean(dim=0)
    assert add_tokens_to_model(model, tokenizer, TOKENS) == [270, 271, 272]
    assert torch.equal(embedding(model)[271], mean)


def test_rows_in_reserve_are_used_and_not_counted_in_the_mean() -> None:
    model, tokenizer = tiny_internvl(), tiny_tokenizer()
    model.resize_token_embeddings(320, mean_resizing=False)
    with torch.no_grad():
        embedding(model)[270:] = 1e6
    mean = embedding(model).detach()[:270].mean(dim=0)
    assert add_tokens_to_model(model, tokenizer, TOKENS) == [270, 271, 272]
    assert len(embedding(model)) == 320
    assert torch.equal(embedding(model)[270], mean)
    assert torch.all(embedding(model)[273:] == 1e6)


def test_quantised_embedding_is_refused() -> None:
    model = tiny_internvl()
    model.get_input_embeddings().weight = nn.Parameter(torch.zeros(270, 32, dtype=torch.int8), requires_grad=False)
    tokenizer = tiny_tokenizer()
    with pytest.raises(BackboneError, match="int8"):
        add_tokens_to_model(model, tokenizer, TOKENS)
    assert len(tokenizer) == 270  # refused before anything changed


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("optimizer_type", [torch.optim.SGD, torch.optim.AdamW])
def test_steps_change_the_new_rows_alone(optimizer_type: type[torch.optim.Optimizer], tied: bool) -> None:
    model, tokenizer = tiny_internvl(tied=tied), tiny_tokenizer()
    rows = add_tokens_to_model(model, tokenizer, TOKENS)
    matrices = {id(matrix): matrix for matrix in (embedding(model), model.lm_head.weight)}.values()
    before = [matrix.detach().clone() for matrix in matrices]
    handles = [train_only_rows(matrix, rows) for matrix in matrices]
    optimizer = optimizer_type([*matrices], lr=0.1, weight_decay=0)
    ids = torch.tensor([[1, *rows, 5]])
    for _ in range(3):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    for matrix, old in zip(matrices, before, strict=True):
        check_no_decay(optimizer, matrix)
        assert torch.equal(matrix[:270], old[:270])
        assert torch.all((matrix[270:] != old[270:]).any(dim=1))
    for handle in handles:
        handle.remove()
    model(input_ids=ids, labels=ids).loss.backward()
    assert embedding(model).grad[1].any()


def test_weight_decay_moves_the_other_rows_and_is_refused() -> None:
    weight = nn.Parameter(torch.ones(4, 2))
    train_only_rows(weight, [3])
    optimizer = torch.optim.AdamW(
        [{"params": [nn.Parameter(torch.ones(1))]}, {"params": [weight]}], lr=0.1, weight_decay=0.1
    )
    weight.sum().backward()
    optimizer.step()
    # Decay of AdamW: 1 - 0.1 * 0.1, with no gradient at all.
    assert weight[0].tolist() == pytest.approx([0.99, 0.99])
    with pytest.raises(InvalidInputError, match=r"0.1 in group 1"):
        check_no_decay(optimizer, weight)


@pytest.mark.parametrize("rows", [[], [4], [-1], [0, 99]])
def test_rows_the_parameter_has_not_got_are_refused(rows: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="some of 0 to 3"):
        train_only_rows(nn.Parameter(torch.ones(4, 2)), rows)
