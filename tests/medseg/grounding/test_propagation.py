"""Volumes through 2D decoders, with decoders whose answers are known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from medseg.errors import InvalidInputError
from medseg.grounding.decode_picture import PictureMasks
from medseg.grounding.mask_decoder import DecodedMasks, EncodedPictures, MaskDecoder
from medseg.grounding.picture_fit import PictureFit
from medseg.grounding.propagation import PropagationConfig, propagate, propagate_pictures
from medseg.study.slice_plan import plan_slices
from medseg.study.volume import volume_in_memory

_SHAPE = (20, 12, 16)


def _boxes() -> np.ndarray:
    """A target in slices 5-12, and a far spot in slice 18."""
    truth = np.zeros(_SHAPE, dtype=bool)
    truth[5:13, 2:8, 3:9] = True
    truth[18, 9:11, 12:14] = True
    return truth


class _Known:
    """Answers slices from a table; `evidence` is what its object head says."""

    def __init__(self, truth: np.ndarray, evidence: np.ndarray | None = None) -> None:
        self.truth = truth
        self.evidence = np.where(truth.any((1, 2)), 4.0, -4.0) if evidence is None else evidence
        self.asked: list[tuple[int, bool]] = []

    def __call__(self, number: int, prompts: Tensor, previous: Tensor | None) -> PictureMasks:
        self.asked.append((number, previous is not None))
        drawn = torch.from_numpy(self.truth[number]).float() * 10 - 5
        count = len(prompts)
        return PictureMasks(
            logits=prompts[:, :1, None] * drawn,  # a prompt below 0 asks for what is around
            overlap=torch.full((count,), 0.8),
            object_logits=torch.full((count,), float(self.evidence[number])),
        )


def test_the_run_of_the_key_slice_is_kept_and_the_far_spot_is_not():
    truth = _boxes()
    found = propagate(_Known(truth), _SHAPE, torch.ones(1, 2))
    assert np.array_equal(found.masks[0, :13], truth[:13])
    assert not found.masks[0, 13:].any()
    assert found.key[0] in range(5, 13)
    assert found.overlap[0] == pytest.approx(0.8)
    every = propagate(_Known(truth), _SHAPE, torch.ones(1, 2), PropagationConfig(follow=False, stay=0.5))
    assert np.array_equal(every.masks[0], truth)


def test_a_slice_the_head_doubts_is_kept_between_sure_ones_and_a_lone_one_is_not():
    truth = _boxes()
    evidence = np.where(truth.any((1, 2)), 4.0, -4.0)
    evidence[8], evidence[18] = -1.0, 0.5
    found = propagate(_Known(truth, evidence), _SHAPE, torch.ones(1, 2), PropagationConfig(follow=False))
    assert np.array_equal(found.masks[0, :13], truth[:13])
    assert not found.masks[0, 18].any()


def test_a_key_slice_that_is_given_is_where_the_run_starts():
    truth = _boxes()
    evidence = np.where(truth.any((1, 2)), 4.0, -4.0)
    evidence[18] = -3.0
    found = propagate(_Known(truth, evidence), _SHAPE, torch.ones(1, 2), key=18)
    assert found.key.tolist() == [18]
    assert np.array_equal(found.masks[0, 18], truth[18])
    assert not found.masks[0, :18].any()
    with pytest.raises(InvalidInputError, match="0 to 19, found 20"):
        propagate(_Known(truth), _SHAPE, torch.ones(1, 2), key=20)


def test_nothing_there_gives_empty_masks_and_no_key():
    found = propagate(_Known(np.zeros(_SHAPE, bool), np.full(20, 9.0)), _SHAPE, torch.ones(2, 2))
    assert not found.masks.any()
    assert found.key.tolist() == [-1, -1]
    assert found.overlap.tolist() == [0.0, 0.0]
    none = propagate(_Known(_boxes()), _SHAPE, torch.ones(0, 2))
    assert none.masks.shape == (0, *_SHAPE)
    assert none.key.shape == (0,)


def test_tokens_are_followed_each_on_its_own():
    truth = _boxes()
    prompts = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    both = propagate(_Known(truth, np.full(20, 3.0)), _SHAPE, prompts, PropagationConfig(follow=False, stay=0.5))
    assert np.array_equal(both.masks[0], truth)
    assert np.array_equal(both.masks[1], ~truth)
    for row in range(2):
        alone = propagate(_Known(truth), _SHAPE, prompts[row : row + 1])
        together = propagate(_Known(truth), _SHAPE, prompts)
        assert np.array_equal(alone.masks[0], together.masks[row])
        assert alone.key[0] == together.key[row]


def test_without_an_object_head_the_overlap_is_the_evidence():
    truth = _boxes()
    known = _Known(truth, np.full(20, np.inf))
    assert np.array_equal(propagate(known, _SHAPE, torch.ones(1, 2)).masks[0, :13], truth[:13])


class _Ambiguous(_Known):
    """Draws the target and a spot beside it, unless an earlier mask says which one is meant."""

    def __call__(self, number: int, prompts: Tensor, previous: Tensor | None) -> PictureMasks:
        found = super().__call__(number, prompts, previous)
        logits = found.logits.clone()
        logits[:, 0:2, 13:15] = 5.0 if previous is None else -5.0
        if previous is not None:
            assert previous.shape == logits.shape
            assert ((previous > 0) & (logits > 0)).any()  # the neighbour's mask, not another slice's
        return PictureMasks(logits=logits, overlap=found.overlap, object_logits=found.object_logits)


def test_with_the_mask_carried_on_slices_are_decoded_from_the_key_outwards():
    truth = _boxes()
    known = _Ambiguous(truth)
    found = propagate(known, _SHAPE, torch.ones(1, 2), PropagationConfig(carry_mask=True), key=8)
    again = [number for number, carried in known.asked if carried]
    assert again == [9, 10, 11, 12, 7, 6, 5]
    assert np.array_equal(found.masks[0, [5, 6, 7, 9, 10, 11, 12]], truth[[5, 6, 7, 9, 10, 11, 12]])
    assert found.masks[0, 8, 0:2, 13:15].all()  # the key slice is as it was decoded
    assert not found.masks[0, 13:].any()


class _Bright:
    """A real member by its protocol: the target is what is brighter than the prompt says, 0-1."""

    fit = PictureFit(side=64, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
    prompt_width = 1

    def parameters(self):
        return iter([torch.zeros(1)])

    def encode(self, pictures: Tensor) -> EncodedPictures:
        return EncodedPictures(embedding=pictures)

    def decode(
        self, encoded: EncodedPictures, picture: Tensor, prompts: Tensor, previous: Tensor | None = None
    ) -> DecodedMasks:
        logits = 10 * (encoded.embedding[picture, 0] - prompts[:, :1, None])
        return DecodedMasks(logits=logits, overlap=torch.full((len(prompts),), 0.9))


def test_a_volume_of_thick_coronal_slices_gets_its_mask_on_its_own_grid():
    i, j, k = np.meshgrid(np.arange(30), np.arange(9), np.arange(40), indexing="ij")
    ball = (i - 14) ** 2 + (4.0 * (j - 4)) ** 2 + (k - 20) ** 2 < 12**2
    volume = volume_in_memory(np.where(ball, 200, 20).astype(np.uint8), np.diag([-1.0, 4.0, 1.0, 1.0]))
    plan = plan_slices(volume)
    assert plan.plane == "coronal"
    assert isinstance(_Bright(), MaskDecoder)
    found = propagate_pictures(
        _Bright(),
        lambda number: np.repeat(plan.picture(volume, number)[:, :, None], 3, axis=2),
        plan,
        torch.tensor([[0.4], [0.95]]),
    )
    mask = plan.volume_of(found.masks[0])
    both = 2 * (mask & ball).sum() / (mask.sum() + ball.sum())
    assert both > 0.97
    assert (mask & ~ball).sum() < 0.05 * ball.sum()
    assert found.key[0] == 4
    assert not found.masks[1].any()
    assert found.key[1] == -1


@pytest.mark.parametrize("wrong", [{"stay": 0.4}, {"gap": 0}, {"least_share": 1.0}])
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="PropagationConfig"):
        PropagationConfig(**wrong)
