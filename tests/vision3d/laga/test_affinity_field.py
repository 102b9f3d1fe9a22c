"""Blocks of unit length and nested vectors, against torch's own normalisation."""

from __future__ import annotations

import pytest
import torch

from vision3d.errors import InvalidInputError
from vision3d.laga.affinity_field import AffinityField, nested_vectors, normalise_blocks

_BLOCKS = (3, 2, 2)


def test_blocks_equal_torch_block_by_block() -> None:
    features, weights = torch.randn(20, 7, requires_grad=True), torch.randn(20, 7)
    parts = [torch.nn.functional.normalize(part, dim=-1) for part in features.split(_BLOCKS, dim=-1)]
    expected = torch.cat(parts, -1)
    (plain,) = torch.autograd.grad((expected * weights).sum(), features)
    found = normalise_blocks(features, _BLOCKS)
    (ours,) = torch.autograd.grad((found * weights).sum(), features)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


def test_gradient_equals_finite_differences() -> None:
    features = torch.randn(4, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: normalise_blocks(values, _BLOCKS), (features,))


def test_zero_blocks_stay_zero() -> None:
    features = torch.tensor([[0.0, 0, 0, 3, 4, 0, 0]])
    assert normalise_blocks(features, _BLOCKS).tolist() == [pytest.approx([0, 0, 0, 0.6, 0.8, 0, 0])]


def test_level_vectors_drop_the_last_blocks_and_are_of_unit_length() -> None:
    field = AffinityField(features=torch.randn(5, 7), block_dims=_BLOCKS, opacity_logits=torch.zeros(5))
    sizes = [tuple(field.level_vectors(level).shape) for level in range(field.level_count)]
    assert sizes == [(5, 7), (5, 5), (5, 3)]
    fine = normalise_blocks(field.features, _BLOCKS)
    # three unit blocks together have length sqrt(3)
    torch.testing.assert_close(field.level_vectors(0), fine / 3**0.5)
    torch.testing.assert_close(nested_vectors(fine, _BLOCKS, 2), fine[:, :3])


def test_blocks_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"add up to 7 channels, found \(3, 2\)"):
        normalise_blocks(torch.zeros(1, 7), (3, 2))
    with pytest.raises(InvalidInputError, match="add up to 7"):
        AffinityField(features=torch.zeros(1, 7), block_dims=(7, 0), opacity_logits=torch.zeros(1))
