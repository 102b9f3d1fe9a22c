"""The salience score: ranks counted by hand."""

from __future__ import annotations

import pytest
import torch

from vlm_bridge.decoding.salience import salience_score
from vlm_bridge.errors import InvalidInputError


def test_mean_reciprocal_rank() -> None:
    """Ranks 1, 2 and 4: (1 + 1/2 + 1/4) / 3."""
    logits = torch.tensor([[4.0, 3.0, 2.0, 1.0]]).repeat(3, 1)
    assert salience_score(logits, torch.tensor([0, 1, 3])) == pytest.approx(1.75 / 3)


def test_ties_do_not_count_against_the_gold_word() -> None:
    assert salience_score(torch.zeros(1, 9), torch.tensor([8])) == 1


def test_any_increasing_function_gives_the_same_score() -> None:
    logits = torch.randn(5, 30)
    gold = torch.randint(30, (5,))
    assert salience_score(logits, gold) == salience_score(logits.softmax(-1), gold)


@pytest.mark.parametrize("gold", [[], [3], [-1]])
def test_gold_words_outside_the_vocabulary(gold: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="each from 0 to 2"):
        salience_score(torch.zeros(len(gold), 3), torch.tensor(gold, dtype=torch.long))
