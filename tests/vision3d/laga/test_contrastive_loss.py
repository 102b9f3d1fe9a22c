"""The loss against a plain rendition of its formulas: one-hot masks, loops, nothing shared with the product."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vision3d.laga.contrastive_loss import contrastive_loss

_PIXELS = 60


def _plain_loss(rendered: Tensor, labels: Tensor, draws: list[Tensor], blocks: tuple[int, ...], hard: float) -> Tensor:
    """Mask by mask and pixel by pixel, from the formulas."""
    levels = len(blocks)
    cut = [sum(blocks[: levels - level]) for level in range(levels)]

    def cosine(mask: Tensor, pixel: int, at: int) -> Tensor:
        prototype = rendered[mask][:, : cut[at]].sum(0)
        value = rendered[pixel, : cut[at]]
        return (prototype @ value) / (prototype.norm() * value.norm())

    total = rendered.new_zeros(())
    for level in range(levels):
        together, apart = [], []
        for k in range(draws[level].shape[1]):
            mask = labels[level] == k
            share = int(mask.sum()) / max(int((~mask).sum()), 1)
            for pixel in range(len(rendered)):
                if not mask.any():
                    continue
                own = cosine(mask, pixel, level)
                if mask[pixel]:
                    together.append(torch.minimum(own, cosine(mask, pixel, level + 1)) if level + 1 < levels else own)
                elif draws[level][pixel, k] < share or own > hard:
                    other = torch.maximum(own, cosine(mask, pixel, level - 1)) if level > 0 else own
                    apart.append(other.clamp_min(0))
        total = total + (-torch.stack(together).mean() if together else 0) + (torch.stack(apart).mean() if apart else 0)
    lengths, start = [], 0
    for size in blocks:
        lengths.append(rendered[:, start : start + size].norm(dim=1).mean())
        start += size
    return total + (1 - torch.stack(lengths).mean()) ** 2


def _case(counts: tuple[int, ...], dim: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    rendered = torch.randn(_PIXELS, dim, dtype=torch.float32) * 0.3 + 0.1
    labels = torch.stack([torch.randint(-1, max(count, 1), (_PIXELS,)).clamp_max(count - 1) for count in counts])
    return rendered, labels, [torch.rand(_PIXELS, count) for count in counts]


@pytest.mark.parametrize(
    ("blocks", "counts"),
    [
        ((6, 3, 3), (5, 3, 2)),
        ((8,), (4,)),
        ((4, 4), (6, 2)),
        ((6, 3, 3), (4, 0, 2)),  # a level without masks
        ((3, 2, 2, 2), (6, 4, 3, 1)),
    ],
)
def test_value_and_gradient_equal_the_plain_rendition(blocks: tuple[int, ...], counts: tuple[int, ...]) -> None:
    rendered, labels, draws = _case(counts, sum(blocks))
    ours, plain = (rendered.clone().requires_grad_() for _ in range(2))
    value = contrastive_loss(ours, labels, draws, block_dims=blocks, hard_negative_cosine=0.5)
    expected = _plain_loss(plain, labels, draws, blocks, hard=0.5)
    assert value.item() == pytest.approx(expected.item(), abs=1e-5)
    (gradient,), (plain_gradient,) = torch.autograd.grad(value, ours), torch.autograd.grad(expected, plain)
    torch.testing.assert_close(gradient, plain_gradient, rtol=0, atol=1e-5)


def test_a_perfect_view_reaches_the_lowest_value() -> None:
    # orthogonal unit vectors for two masks: cosine 1 inside, 0 outside, unit blocks -> -1 + 0 + 0
    rendered = torch.eye(4)[[0, 0, 0, 1, 1]]
    labels = torch.tensor([[0, 0, 0, 1, 1]])
    loss = contrastive_loss(rendered, labels, [torch.rand(5, 2)], block_dims=(4,))
    assert loss.item() == pytest.approx(-1.0, abs=1e-6)


def test_hard_negatives_are_pushed_whatever_was_drawn() -> None:
    # mask of pixel 0; pixel 1 has cosine 0.8 with it, pixel 2 has 0.6, and no draw falls below the share 1/2
    rendered = torch.tensor([[1.0, 0], [0.8, 0.6], [0.6, 0.8]])
    labels, draws = torch.tensor([[0, -1, -1]]), [torch.ones(3, 1)]
    hard = {limit: contrastive_loss(rendered, labels, draws, block_dims=(2,), hard_negative_cosine=limit).item()
            for limit in (0.5, 0.7, 0.9)}  # fmt: skip
    assert hard == pytest.approx({0.5: -1 + 0.7, 0.7: -1 + 0.8, 0.9: -1.0})


def test_coarse_masks_push_at_the_finer_level_too() -> None:
    # blocks (2, 2): the coarse level sees channels 0-1 only. Two coarse masks apart there, but alike in channels 2-3,
    # so that the finer cosine is larger and is the one to pay: (0 + 1) / 2.
    rendered = torch.tensor([[1.0, 0, 1, 0], [0, 1.0, 1, 0]])
    labels = torch.tensor([[-1, -1], [0, 1]])
    loss = contrastive_loss(rendered, labels, [torch.ones(2, 0), torch.zeros(2, 2)], block_dims=(2, 2))
    assert loss.item() == pytest.approx(-1 + 0.5, abs=1e-6)
