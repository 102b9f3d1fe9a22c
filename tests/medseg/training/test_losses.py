"""Losses against values worked by hand, and the laws they keep."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from medseg.errors import InvalidInputError
from medseg.grounding.mask_decoder import DecodedMasks
from medseg.grounding.projection import StateSays
from medseg.training.losses import (
    IGNORED,
    LossWeights,
    MaskTruth,
    grounding_losses,
    mask_cross_entropies,
    mask_dice_losses,
    true_overlaps,
    weighted,
    words_loss,
)

LOG_3 = math.log(3.0)
"""A logit whose chance is 3/4."""


def truth(masks: Tensor, *, present: Tensor | None = None, **changes: Tensor) -> MaskTruth:
    there = (masks > 0).flatten(1).any(1) if present is None else present
    no, zero = torch.zeros(len(masks), dtype=torch.bool), torch.zeros(len(masks), dtype=torch.long)
    facts = {"present": there, "visible": there, "fine": no, "of_previous": no, "part": zero, **changes}
    return MaskTruth(masks=masks, **facts)


def says(count: int, logit: float = 0.0) -> StateSays:
    value = torch.full((count,), logit)
    return StateSays(present=value, fine=value, of_previous=value, part=torch.zeros(count, 7))


def test_cross_entropy_and_dice_by_hand() -> None:
    """Chances 3/4, 1/4, 3/4 of inside, outside, outside."""
    logits = torch.tensor([[[LOG_3, -LOG_3, LOG_3]]])
    target = torch.tensor([[[1.0, 0.0, 0.0]]])
    expected = (2 * math.log(4 / 3) + math.log(4)) / 3
    assert mask_cross_entropies(logits, target).item() == pytest.approx(expected, rel=1e-6)
    assert mask_dice_losses(logits, target).item() == pytest.approx(1 - 1.5 / (1.75 + 1), rel=1e-6)


def test_ignored_pixels_change_nothing() -> None:
    logits = torch.tensor([[[LOG_3, -LOG_3, 7.0, -9.0]]])
    target = torch.tensor([[[1.0, 0.0, IGNORED, IGNORED]]])
    for loss in (mask_cross_entropies, mask_dice_losses, true_overlaps):
        assert torch.equal(loss(logits, target), loss(logits[..., :2], target[..., :2]))
    logits.requires_grad_()
    (mask_cross_entropies(logits, target) + mask_dice_losses(logits, target)).sum().backward()
    assert logits.grad is not None
    assert logits.grad[..., 2:].tolist() == [[[0.0, 0.0]]]


def test_a_mask_that_is_wholly_ignored_costs_nothing() -> None:
    logits, target = torch.ones(1, 2, 2), torch.full((1, 2, 2), IGNORED)
    assert mask_cross_entropies(logits, target).item() == mask_dice_losses(logits, target).item() == 0


def test_an_empty_reference_has_cross_entropy_and_no_dice() -> None:
    decoded = DecodedMasks(logits=torch.zeros(2, 1, 2), overlap=torch.tensor([0.5, 0.9]))
    target = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])
    found = grounding_losses(decoded, says(2), truth(target))
    assert found["cross_entropy"].item() == pytest.approx(math.log(2))
    assert found["dice"].item() == pytest.approx(0.5)  # of the first mask alone, not halved by the second
    assert found["overlap"].item() == pytest.approx(0.25)  # nothing is marked, so the true overlap is 0
    assert found["presence"].item() == pytest.approx(math.log(2))


def test_sums_over_masks_are_divided_by_their_number() -> None:
    logits = torch.tensor([[[LOG_3]], [[LOG_3]], [[-LOG_3]]])
    target = torch.ones(3, 1, 1)
    decoded = DecodedMasks(logits=logits, overlap=torch.ones(3))
    found = grounding_losses(decoded, says(3), truth(target))
    assert found["cross_entropy"].item() == pytest.approx((2 * math.log(4 / 3) + math.log(4)) / 3)
    assert found["dice"].item() == pytest.approx((2 * (1 - 1.5 / 1.75) + (1 - 0.5 / 1.25)) / 3, abs=1e-6)
    assert found["overlap"].item() == pytest.approx(1 / 3)


def test_presence_is_that_of_the_state_and_of_the_decoder() -> None:
    target = torch.zeros(1, 1, 1)
    decoded = DecodedMasks(logits=target, overlap=torch.zeros(1), object_logits=torch.tensor([LOG_3]))
    told = truth(target, present=torch.tensor([True]), visible=torch.tensor([False]))
    assert grounding_losses(decoded, says(1, LOG_3), told)["presence"].item() == pytest.approx(
        (math.log(4 / 3) + math.log(4)) / 2
    )


def test_an_unknown_part_is_not_learned() -> None:
    target = torch.ones(2, 1, 1)
    decoded = DecodedMasks(logits=target, overlap=torch.ones(2))
    known = grounding_losses(decoded, says(2), truth(target, part=torch.tensor([3, -1])))["part"]
    none = grounding_losses(decoded, says(2), truth(target, part=torch.tensor([-1, -1])))["part"]
    assert (known.item(), none.item()) == (pytest.approx(math.log(7)), 0.0)


def test_nothing_asked_for_costs_nothing() -> None:
    decoded = DecodedMasks(logits=torch.zeros(0, 4, 4), overlap=torch.zeros(0), object_logits=torch.zeros(0))
    found = grounding_losses(decoded, says(0), truth(torch.zeros(0, 4, 4)))
    assert {name: value.item() for name, value in found.items()} == dict.fromkeys(found, 0.0)


@settings(max_examples=8)
@given(seed=st.integers(0, 2**16), times=st.integers(2, 3))
def test_losses_do_not_depend_on_the_number_of_pixels(seed: int, times: int) -> None:
    """Each pixel as `times` x `times` of them."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 6, 6, generator=generator) * 3
    target = torch.rand(2, 6, 6, generator=generator).round()
    target[0, 0, 0], target[1, 0, 0] = 1.0, IGNORED
    larger = [one.repeat_interleave(times, 1).repeat_interleave(times, 2) for one in (logits, target)]
    for loss in (mask_cross_entropies, mask_dice_losses, true_overlaps):
        torch.testing.assert_close(loss(*larger), loss(logits, target), rtol=1e-4, atol=1e-5)


def test_large_masks_do_not_overflow_in_half_precision() -> None:
    """A sum of 1024 x 1024 ones is no number of float16."""
    logits, target = torch.full((1, 1024, 1024), 4.0).half(), torch.ones(1, 1024, 1024).half()
    small = mask_dice_losses(logits[:, :2, :2], target[:, :2, :2])
    found = mask_dice_losses(logits, target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, small, rtol=1e-4, atol=1e-5)


def test_words_are_those_of_the_next_token() -> None:
    logits = torch.zeros(1, 3, 4)
    logits[0, 0, 2] = LOG_3  # chances 1/6, 1/6, 3/6, 1/6
    ids = torch.tensor([[1, 2, 3]])
    total, count, right = words_loss(logits, ids, torch.tensor([[True, True, False]]))
    assert total.item() == pytest.approx(math.log(2))  # the first token has none before it
    assert (count.item(), right.item()) == (1, 1)


def test_weights_are_those_of_the_family() -> None:
    weights = LossWeights()
    assert (weights.words, weights.cross_entropy, weights.dice) == (1.0, 2.0, 0.5)
    assert (weights.presence, weights.overlap) == (0.5, 0.1)
    one = torch.tensor(1.0)
    assert weighted({"words": one, "cross_entropy": one, "dice": one}, weights).item() == 3.5
    with pytest.raises(InvalidInputError, match="found others in dice"):
        LossWeights(dice=-1.0)
