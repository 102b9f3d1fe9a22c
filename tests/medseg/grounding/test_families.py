"""What every mask decoder does, of pictures and of volumes."""

import pytest
import torch
from torch.nn.functional import interpolate

from medseg.errors import InvalidInputError
from medseg.grounding.catalogue import MASK_DECODERS, VOLUME_DECODERS, build_picture_decoder, build_volume_decoder
from medseg.grounding.mask_decoder import MaskDecoder
from medseg.grounding.vista3d import Vista3dConfig
from medseg.grounding.volume_protocol import VolumeDecoder
from tests.medseg.grounding.small_decoders import (
    BLOCK,
    SIDE,
    SMALL_MASK_DECODERS,
    SMALL_VOLUME_DECODERS,
    settled,
    small_embedded,
)

_NAMES = (*MASK_DECODERS, *VOLUME_DECODERS)


class _Asked:
    """A decoder, two things to look at, and three tokens about them."""

    def __init__(self, name: str) -> None:
        self.flat = name in MASK_DECODERS
        self.decoder = settled((SMALL_MASK_DECODERS if self.flat else SMALL_VOLUME_DECODERS)[name])
        shape = (2, 3, SIDE, SIDE) if self.flat else (2, 1, *BLOCK)
        self.seen = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        self.about = torch.tensor([1, 0, 1])
        self.prompts = torch.randn(3, self.decoder.prompt_width, generator=torch.Generator().manual_seed(2))

    def decode(self, rows: list[int], prompts: torch.Tensor | None = None):
        prompts = self.prompts if prompts is None else prompts
        return self.decoder.decode(self.decoder.encode(self.seen), self.about[rows], prompts[rows])


@pytest.fixture(params=_NAMES)
def asked(request: pytest.FixtureRequest) -> _Asked:
    return _Asked(request.param)


def test_the_catalogue_and_the_small_members_agree():
    assert SMALL_MASK_DECODERS.keys() == MASK_DECODERS.keys()
    assert SMALL_VOLUME_DECODERS.keys() == VOLUME_DECODERS.keys()


def test_members_follow_the_protocol(asked):
    assert isinstance(asked.decoder, MaskDecoder if asked.flat else VolumeDecoder)


@torch.no_grad()
def test_no_tokens_give_no_masks_of_the_same_size(asked):
    none, some = asked.decode([]), asked.decode([0])
    assert none.logits.shape == (0, *some.logits.shape[1:])
    assert none.overlap.shape == (0,)
    assert (none.object_logits is None) == (some.object_logits is None)


@torch.no_grad()
def test_a_batch_equals_one_by_one(asked):
    together = asked.decode([0, 1, 2])
    for row in range(3):
        alone = asked.decode([row])
        scale = together.logits[row].abs().max()
        assert torch.allclose(alone.logits[0], together.logits[row], atol=2e-5 * float(scale) + 1e-6)
        assert torch.allclose(alone.overlap[0], together.overlap[row], atol=1e-4)
        if alone.object_logits is not None:
            assert torch.allclose(alone.object_logits[0], together.object_logits[row], atol=1e-4)


@torch.no_grad()
def test_the_same_question_has_the_same_answer(asked):
    first, second = asked.decode([0, 1, 2]), asked.decode([0, 1, 2])
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.overlap, second.overlap)


@torch.no_grad()
def test_other_tokens_and_other_pictures_give_other_masks(asked):
    found = asked.decode([0, 1, 2]).logits
    assert not torch.allclose(found[0], found[2], atol=1e-5)  # one thing, two tokens
    swapped = asked.decoder.decode(asked.decoder.encode(asked.seen), 1 - asked.about, asked.prompts).logits
    assert not torch.allclose(found, swapped, atol=1e-5)


def test_the_loss_of_masks_and_heads_reaches_each_prompt(asked):
    prompts = asked.prompts.clone().requires_grad_()
    found = asked.decode([0, 1, 2], prompts)
    heads = [found.overlap.sum()] + ([] if found.object_logits is None else [found.object_logits.sum()])
    for part in (found.logits.square().mean(), *heads):
        (gradient,) = torch.autograd.grad(part, prompts, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert (gradient.abs().sum(1) > 0).all()


@torch.no_grad()
@pytest.mark.parametrize("name", MASK_DECODERS)
def test_an_earlier_mask_changes_the_answer_and_rows_of_nan_do_not(name):
    asked = _Asked(name)
    plain = asked.decode([0, 1, 2]).logits
    previous = torch.full((3, 40, 40), torch.nan)
    encoded = asked.decoder.encode(asked.seen)
    assert torch.equal(asked.decoder.decode(encoded, asked.about, asked.prompts, previous).logits, plain)
    previous[1] = torch.where(torch.arange(40) < 20, 8.0, -8.0)
    changed = asked.decoder.decode(encoded, asked.about, asked.prompts, previous).logits
    assert torch.equal(changed[[0, 2]], plain[[0, 2]])
    assert not torch.allclose(changed[1], plain[1], atol=1e-4)


def test_what_is_not_in_the_catalogue_is_refused():
    with pytest.raises(InvalidInputError, match="expected one of embedded, sam"):
        build_picture_decoder("unet")
    with pytest.raises(InvalidInputError, match="VolumeDecoderConfig, found Vista3dConfig"):
        build_volume_decoder("segresnet", Vista3dConfig())


@torch.no_grad()
def test_a_sharpened_decoder_begins_as_the_plain_one_and_has_a_logit_per_pixel():
    plain, sharp = settled(lambda: small_embedded(sharp=0)), settled(lambda: small_embedded(sharp=4))
    missing = sharp.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert all("sharp" in name for name in missing)
    seen = torch.rand((1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    prompts, about = torch.ones(1, plain.prompt_width), torch.zeros(1, dtype=torch.long)
    before, after = (one.decode(one.encode(seen), about, prompts).logits for one in (plain, sharp))
    assert (before.shape[-1], after.shape[-1]) == (SIDE // 2, SIDE)
    enlarged = interpolate(before[:, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(after, enlarged)
    torch.nn.init.ones_(sharp.sharp_filters.weight)
    changed = sharp.decode(sharp.encode(seen), about, prompts).logits
    assert not torch.allclose(changed, after)
