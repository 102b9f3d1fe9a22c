"""What the retrieval benchmark counts."""

from __future__ import annotations

import pytest

from benchmarks.pcd_retrieval import ask
from data.recipes.key_value.task import VALUES, VOCABULARY
from data.recipes.key_value.train import new_model


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    return ask(new_model(0).eval(), pairs=4, count=40, seed=0)


def test_an_untrained_model_guesses(found: dict[str, float]) -> None:
    """One of 99 words at random would be right in 1 % of the cases; 40 questions, so that 5 right ones are too many."""
    assert found["greedy"] <= 12.5
    assert found["S plain"] < 0.3
    assert 0 <= found["gold among candidates"] <= 100
    assert VALUES < VOCABULARY == 99


def test_without_contrast_the_likeliest_word_is_the_greedy_one(found: dict[str, float]) -> None:
    assert found["no contrast (beta 0)"] == found["greedy"]


def test_equal_seeds_ask_the_same(found: dict[str, float]) -> None:
    assert ask(new_model(0).eval(), pairs=4, count=40, seed=0) == found
