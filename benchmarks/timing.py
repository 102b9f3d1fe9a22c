"""Timing of alternatives in turn, so that other load on the machine falls on all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numba
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Wall times of one task in milliseconds."""

    milliseconds: tuple[float, ...]

    @property
    def minimum(self) -> float:
        """The fastest repetition."""
        return min(self.milliseconds)

    @property
    def median(self) -> float:
        """The middle repetition."""
        return statistics.median(self.milliseconds)

    def __str__(self) -> str:
        return f"{self.minimum:.1f} / {self.median:.1f}"


def time_in_turn(
    tasks: Mapping[str, Callable[[], object]], *, rounds: int, repeats: Mapping[str, int]
) -> dict[str, Times]:
    """Times of every task: one untimed call each, then `rounds` rounds with `repeats` calls of each task in turn."""
    for task in tasks.values():
        task()
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            for _ in range(repeats.get(name, 1)):
                start = time.perf_counter()
                task()
                found[name].append(1e3 * (time.perf_counter() - start))
    return {name: Times(milliseconds=tuple(values)) for name, values in found.items()}


def describe_threads() -> str:
    """One line on the versions and threads the numbers were taken with."""
    return (
        f"torch {torch.__version__} ({torch.get_num_threads()} threads), "
        f"numba {numba.__version__} ({numba.get_num_threads()} threads); times in ms, minimum / median"
    )
