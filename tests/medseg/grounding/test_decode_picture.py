"""Masks on a picture's own pixels: whole, in windows, and from an earlier mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medseg.grounding.decode_picture import PictureDecoder
from medseg.grounding.embedded_decoder import EmbeddedDecoderConfig, EmbeddedMaskDecoder
from medseg.grounding.mask_decoder import DecodedMasks, EncodedPictures
from medseg.grounding.picture_fit import PictureFit

SIDE = 32


class Brightness(nn.Module):
    """A decoder that marks what is brighter than its prompt, or what was marked before; it counts its encodings."""

    def __init__(self) -> None:
        super().__init__()
        self.fit = PictureFit(side=SIDE, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
        self.prompt_width = 1
        self.anything = nn.Parameter(torch.zeros(1))
        self.encodings = 0

    def encode(self, pictures: Tensor) -> EncodedPictures:
        self.encodings += 1
        return EncodedPictures(embedding=pictures)

    def decode(self, encoded: EncodedPictures, picture: Tensor, prompts: Tensor, previous: Tensor | None = None):
        logits = encoded.embedding[picture].mean(1) - prompts[:, :, None]
        if previous is not None:
            drawn = previous[:, ::1, ::1]
            logits = torch.where(torch.isnan(drawn), logits, drawn)
        return DecodedMasks(logits=logits, overlap=prompts[:, 0], object_logits=logits.flatten(1).amax(1))


def bright_square(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    return np.where(mask, 255, 0).astype(np.uint8)[..., None].repeat(3, 2), mask


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (200, 90), (50, 128)])
def test_a_mask_lies_where_the_picture_has_it(fine: bool, size: tuple[int, int]) -> None:
    picture, mask = bright_square(*size)
    found = PictureDecoder(Brightness(), picture).decode(torch.tensor([[0.5]]), np.array([fine]))
    marked = (found.logits[0] > 0).numpy()
    assert marked.shape == size
    assert 2 * (marked & mask).sum() / (marked.sum() + mask.sum()) > 0.9


def test_a_picture_is_encoded_once_per_resolution() -> None:
    decoder = Brightness()
    pictures = PictureDecoder(decoder, bright_square(64, 64)[0])
    for fine in (False, False):
        pictures.decode(torch.tensor([[0.5]]), np.array([fine]))
    assert decoder.encodings == 1
    pictures.decode(torch.tensor([[0.5], [0.5]]), np.array([True, False]))
    windows = decoder.encodings
    assert windows > 1
    pictures.decode(torch.tensor([[0.5]]), np.array([True]))
    assert decoder.encodings == windows


def test_no_tokens_give_no_masks() -> None:
    found = PictureDecoder(Brightness(), bright_square(40, 30)[0]).decode(torch.zeros(0, 1), np.zeros(0, bool))
    assert found.logits.shape == (0, 40, 30)


@pytest.mark.parametrize("fine", [False, True])
def test_an_earlier_mask_reaches_its_token_alone(fine: bool) -> None:
    picture, _ = bright_square(64, 64)
    earlier = torch.full((2, 64, 64), torch.nan)
    earlier[1] = -6.0
    earlier[1, 40:60, 40:60] = 6.0
    found = PictureDecoder(Brightness(), picture).decode(torch.tensor([[0.5]] * 2), np.array([fine] * 2), earlier)
    marked = (found.logits > 0).numpy()
    assert marked[0, 20, 20]
    assert not marked[0, 50, 50]
    assert marked[1, 50, 50]
    assert not marked[1, 20, 20]


def _embedded() -> EmbeddedMaskDecoder:
    torch.manual_seed(0)
    return EmbeddedMaskDecoder(
        EmbeddedDecoderConfig(side=32, width=16, channels=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1, 1))
    ).eval()


@pytest.mark.parametrize("fine", [False, True])
def test_what_is_decoded_in_the_mirror_too_does_not_depend_on_which_way_round_it_came(fine: bool) -> None:
    decoder, prompts = _embedded(), torch.randn(2, 16)
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    windows, mirrored = np.array([fine] * 2), np.array([True, False])
    earlier = torch.full((2, 50, 70), torch.nan)
    earlier[:, :, :30] = 5.0
    earlier[:, :, 30:] = -5.0
    found = PictureDecoder(decoder, picture).decode(prompts, windows, earlier, mirrored)
    turned = PictureDecoder(decoder, picture[:, ::-1].copy()).decode(prompts, windows, earlier.flip(-1), mirrored)
    torch.testing.assert_close(found.logits[0], turned.logits[0].flip(-1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.overlap[0], turned.overlap[0])
    assert not torch.allclose(found.logits[1], turned.logits[1].flip(-1), atol=1e-3)
    once = PictureDecoder(decoder, picture).decode(prompts, windows, earlier)
    torch.testing.assert_close(found.logits[1], once.logits[1])


def test_tokens_together_give_what_each_gives_alone() -> None:
    decoder = _embedded()
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    prompts, fine = torch.randn(3, 16), np.array([True, False, True])
    together = PictureDecoder(decoder, picture).decode(prompts, fine)
    for number in range(3):
        alone = PictureDecoder(decoder, picture).decode(prompts[number : number + 1], fine[number : number + 1])
        assert torch.allclose(together.logits[number], alone.logits[0], atol=1e-4)
        assert torch.allclose(together.overlap[number], alone.overlap[0], atol=1e-5)
