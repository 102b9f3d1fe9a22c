"""One seed settles every generator."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.runs.seeding import seed_everything


def _draws(seed: int) -> list[float]:
    generator = seed_everything(seed)
    return [
        random.random(),
        float(np.random.rand()),
        float(torch.rand(())),
        float(torch.rand((), generator=generator)),
    ]


def test_same_seed_same_draws_from_every_generator() -> None:
    first, other = _draws(7), _draws(8)
    assert _draws(7) == first
    assert all(one != two for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(InvalidInputError, match=str(seed)):
        seed_everything(seed)
