"""One seed for every random generator a job uses."""

from __future__ import annotations

import random

import numpy as np
import torch

from vlm_bridge.errors import InvalidInputError


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and PyTorch (all devices); returns a CPU generator of its own with the same seed.

    Example:
        >>> _ = seed_everything(3); first = torch.rand(2)
        >>> _ = seed_everything(3); bool((torch.rand(2) == first).all())
        True

    Raises:
        InvalidInputError: NumPy cannot take the seed.
    """
    if not 0 <= seed < 2**32:
        raise InvalidInputError(f"seed: expected 0 <= seed < 2^32, found {seed}. Choose a smaller one.")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
