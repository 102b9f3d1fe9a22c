"""Printed figures of the household recipes: no two alike, the same for the same seed, the ground keeps its colour."""

from __future__ import annotations

import numpy as np
import pytest

from data.recipes.household.prints import FIGURES, printed_picture

_GROUND = (40, 86, 184)


def _print(figure: str, seed: int) -> np.ndarray:
    return printed_picture(figure, (80, 110), _GROUND, np.random.default_rng(seed), title="TALES")


@pytest.mark.parametrize("figure", FIGURES)
def test_prints_of_a_figure_vary_with_the_seed_alone(figure: str) -> None:
    one, again, other = _print(figure, 1), _print(figure, 1), _print(figure, 2)
    assert one.shape == (110, 80, 3)
    assert np.array_equal(one, again)
    assert (np.abs(one.astype(int) - other).max(-1) > 24).mean() > 0.05


def test_the_ground_keeps_its_name_under_every_pattern() -> None:
    corners = np.stack([_print("heart", seed)[25:85, :6].reshape(-1, 3).mean(0) for seed in range(40)])
    assert (corners.argmax(1) == 2).all(), "blue stays the strongest"
    assert np.ptp(corners[:, 2]) > 15, "and has shades"
