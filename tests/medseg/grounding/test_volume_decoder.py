"""The SegResNet-class decoder: it learns what a token asks for, and reads large volumes window by window."""

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from medseg.errors import InvalidInputError
from medseg.grounding.volume_decoder import VolumeDecoderConfig, VolumeMaskDecoder
from medseg.grounding.volume_fit import VolumeFit
from medseg.grounding.volume_windows import WindowHeads, decode_volume, window_network
from medseg.inference.sliding_window import WindowConfig, slide
from medseg.study.volume import volume_in_memory

_SMALL = VolumeDecoderConfig(
    width=16, blocks_down=(1, 1, 1), blocks_up=(1, 1), fit=VolumeFit(patch=(16, 16, 16), multiple=4)
)


@pytest.fixture
def decoder() -> VolumeMaskDecoder:
    torch.manual_seed(0)
    return VolumeMaskDecoder(_SMALL).eval()


def test_two_tokens_learn_two_targets_of_one_volume():
    torch.manual_seed(0)
    decoder = VolumeMaskDecoder(_SMALL)
    values = torch.rand(1, 1, 16, 16, 16) * 0.1
    targets = torch.zeros(2, 16, 16, 16)
    targets[0, 2:7, 3:9, 4:10] = 1
    targets[1, 9:14, 6:12, 5:11] = 1
    values[0, 0] += 0.5 * targets[0] + 0.9 * targets[1]
    prompts = torch.randn(2, 16)
    of = torch.tensor([0, 0])
    optimiser = torch.optim.Adam(decoder.parameters(), 1e-2)
    for _ in range(40):
        decoded = decoder.decode(decoder.encode(values), of, prompts)
        loss = binary_cross_entropy_with_logits(decoded.logits, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    drawn = decoder.eval().decode(decoder.encode(values), of, prompts).logits > 0
    dice = 2 * (drawn & (targets > 0)).sum((1, 2, 3)) / (drawn.sum((1, 2, 3)) + targets.sum((1, 2, 3)))
    assert dice.min() > 0.9, dice


def test_the_overlap_stays_between_0_and_1(decoder):
    decoded = decoder.decode(decoder.encode(torch.rand(1, 1, 16, 16, 16)), torch.tensor([0]), 100 * torch.randn(1, 16))
    assert 0 <= decoded.overlap.item() <= 1


def test_sizes_the_network_does_not_divide_are_refused(decoder):
    with pytest.raises(InvalidInputError, match="multiples of 4"):
        decoder.encode(torch.rand(1, 1, 16, 16, 18))
    with pytest.raises(InvalidInputError, match="one level fewer"):
        VolumeDecoderConfig(blocks_down=(1, 1), blocks_up=(1, 1))


@torch.no_grad()
def test_a_volume_of_one_window_is_read_in_one_pass_on_its_own_grid(decoder):
    values = np.random.default_rng(0).random((10, 12, 9)).astype(np.float32)
    volume = volume_in_memory(values, np.diag([-1.0, -1.0, 2.0, 1.0]))
    prompts = torch.randn(3, 16)
    decoded = decode_volume(decoder, volume, prompts)
    assert decoded.logits.shape == (3, 10, 12, 9)
    fitted = decoder.fit.fit(volume)
    plain = decoder.decode(decoder.encode(fitted.values[None]), torch.zeros(3, dtype=torch.long), prompts)
    assert torch.equal(decoded.logits, plain.logits[:, 3:13, 2:14, 3:12].flip(1, 2))
    assert decode_volume(decoder, volume, prompts[:0]).logits.shape == (0, 10, 12, 9)


@torch.no_grad()
def test_windows_agree_with_the_sliding_window_of_bounded_memory(decoder):
    values = np.random.default_rng(1).random((28, 20, 33)).astype(np.float32)
    volume = volume_in_memory(values, np.eye(4))
    prompts = torch.randn(2, 16)
    decoded = decode_volume(decoder, volume, prompts)
    fitted = decoder.fit.fit(volume)
    said = WindowHeads()
    slices = slide(
        window_network(decoder, prompts, said), fitted.values.numpy(), WindowConfig(window=decoder.fit.patch)
    )
    blended = torch.zeros(2, *fitted.values.shape[1:])
    for one in slices:
        blended.movedim(1 + one.axis, 0)[one.number] = torch.from_numpy(one.logits)
    assert torch.allclose(decoder.fit.back(blended, fitted), decoded.logits, atol=1e-4)
    assert torch.allclose(said.overlap(), decoded.overlap, atol=1e-5)
    assert torch.equal(said.object_logits, decoded.object_logits)


def test_heads_without_windows_say_so():
    with pytest.raises(InvalidInputError, match="at least one"):
        WindowHeads().overlap()
