"""What an optimiser remembers, in numbers and bytes, counted and by formula. Counters of steps are left out."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.optim import Optimizer


def state_numbers(optimizer: Optimizer) -> int:
    """Numbers in the tensors of the state."""
    return sum(value.numel() for value in _tensors(optimizer))


def state_bytes(optimizer: Optimizer) -> int:
    """Bytes that the tensors of the state hold on to, also where they are views of larger ones."""
    storages = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in _tensors(optimizer)}
    return sum(storages.values())


def factor_numbers(rows: int, columns: int, rank: int, *, moments: int = 2) -> int:
    """Numbers that MLorc keeps of a matrix: `rank` columns, rows and singular values for each moment.

    Example:
        >>> factor_numbers(256, 1024, 4), 2 * 256 * 1024
        (10248, 524288)
    """
    return moments * (rank * (rows + columns) + rank)


def _tensors(optimizer: Optimizer) -> Iterator[Tensor]:
    for slots in optimizer.state.values():
        for name, value in slots.items():
            if isinstance(value, Tensor) and name != "step":
                yield value
