"""The arithmetic of the contrast, on logits alone."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_bridge.decoding.contrast import candidates, contrast_logits


def _random(seed: int, rows: int = 3, words: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(rows, words, generator=generator), 3 * torch.randn(rows, words, generator=generator)


def _contrast(plain: torch.Tensor, local: torch.Tensor, beta: float, gamma: int) -> torch.Tensor:
    return contrast_logits(plain, local, beta=beta, allowed=candidates(plain, gamma))


@given(seed=st.integers(0, 10_000), beta=st.floats(0, 10), gamma=st.integers(1, 60))
def test_the_best_word_is_a_candidate_of_the_plain_branch(seed: int, beta: float, gamma: int) -> None:
    plain, local = _random(seed)
    best = _contrast(plain, local, beta, gamma).argmax(1)
    rank = (plain > plain.gather(1, best[:, None])).sum(1)
    assert (rank < gamma).all()


@given(seed=st.integers(0, 10_000), beta=st.floats(0, 5))
def test_logits_and_log_probabilities_give_the_same_answer(seed: int, beta: float) -> None:
    plain, local = _random(seed)
    raw = _contrast(plain, local, beta, 20).softmax(-1)
    logs = _contrast(plain.log_softmax(-1), local.log_softmax(-1), beta, 20).softmax(-1)
    torch.testing.assert_close(raw, logs, atol=1e-6, rtol=1e-4)


def test_log_odds_rise_in_a_straight_line_with_beta() -> None:
    """By (L_a - L_b) - (L*_a - L*_b) for each unit of beta."""
    plain, local = _random(0)
    odds = [scores[:, 0] - scores[:, 1] for scores in (_contrast(plain, local, beta, 50) for beta in (0.0, 1.0, 2.5))]
    slope = (plain[:, 0] - plain[:, 1]) - (local[:, 0] - local[:, 1])
    torch.testing.assert_close(odds[1] - odds[0], slope)
    torch.testing.assert_close(odds[2] - odds[0], 2.5 * slope)


def test_equal_branches_leave_every_bit() -> None:
    plain, _ = _random(1)
    assert torch.equal(_contrast(plain, plain.clone(), 2.5, 50), plain)


def test_ties_with_the_last_candidate_are_candidates() -> None:
    plain = torch.tensor([[1.0, 3.0, 1.0, 0.0, 1.0]])
    assert candidates(plain, 2).tolist() == [[True, True, True, False, True]]


def test_forbidden_words_are_no_candidates() -> None:
    plain = torch.tensor([[1.0, -math.inf, -math.inf]])
    assert candidates(plain, 3).tolist() == [[True, False, False]]


def test_half_precision_is_contrasted_in_single() -> None:
    plain, local = (logits.bfloat16() for logits in _random(2))
    scores = _contrast(plain, local, 2.5, 50)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, 3.5 * plain.float() - 2.5 * local.float())
