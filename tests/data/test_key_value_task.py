"""The lists of the key-value recipe: every answer can be looked up, and training is repeatable."""

from __future__ import annotations

import pytest
import torch

from data.recipes.key_value.task import (
    ASK,
    BEGIN,
    FIRST_VALUE,
    LETTERS,
    NOT_ASKED,
    PAIR_TOKENS,
    QUESTION_TOKENS,
    VOCABULARY,
    Questions,
    prompts,
    questions,
)
from data.recipes.key_value.train import TrainConfig, new_model, train


def _made(rows: int, pairs: int, asked: int) -> Questions:
    return questions(rows, pairs, asked, torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("pairs", "asked"), [(1, 1), (6, 6), (40, 20), (LETTERS**2, 1)])
def test_every_question_has_the_answer_of_the_list(pairs: int, asked: int) -> None:
    made = _made(4, pairs, asked)
    listed = 1 + PAIR_TOKENS * pairs
    for row, labels in zip(made.ids.tolist(), made.labels.tolist(), strict=True):
        assert row[0] == BEGIN
        table = {(row[i], row[i + 1]): row[i + 2] for i in range(1, listed, PAIR_TOKENS)}
        assert len(table) == pairs  # keys are distinct
        for start in range(listed, len(row), QUESTION_TOKENS):
            mark, first, second, value = row[start : start + QUESTION_TOKENS]
            assert mark == ASK
            assert table[first, second] == value == labels[start + 3]
            assert FIRST_VALUE <= value < VOCABULARY
        assert sum(label != NOT_ASKED for label in labels) == asked


def test_depth_says_which_pair_is_asked_for() -> None:
    made = _made(5, 12, 3)
    for row, depths in zip(made.ids, made.depth.tolist(), strict=True):
        for number, depth in enumerate(depths):
            pair = row[1 + PAIR_TOKENS * depth :][:PAIR_TOKENS]
            question = row[1 + PAIR_TOKENS * 12 + QUESTION_TOKENS * number :][1:QUESTION_TOKENS]
            assert torch.equal(pair, question)


def test_a_prompt_ends_before_the_value() -> None:
    ids, gold = prompts(6, 10, seed=1)
    made = questions(6, 10, 1, torch.Generator().manual_seed(1))
    assert torch.equal(torch.cat([ids, gold[:, None]], 1), made.ids)
    assert not torch.equal(prompts(6, 10, seed=2)[0], ids)


def test_equal_settings_train_equal_weights() -> None:
    def trained() -> list[torch.Tensor]:
        model = new_model(1)
        train(model, TrainConfig(steps=2, tokens=64, log_every=1), reports.append)
        return [value.detach() for value in model.parameters()]

    reports: list[str] = []
    first, again = trained(), trained()
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert len(reports) == 4
    assert not torch.equal(first[0], new_model(1).model.embed_tokens.weight)
