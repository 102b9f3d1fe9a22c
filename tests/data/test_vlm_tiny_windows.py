"""What the vision tower of the small backbone learns from first: windows of pictures."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

from data.recipes.vlm_tiny.network import PATCH, build, patch_features, window_features
from data.recipes.vlm_tiny.stream import Sources
from data.recipes.vlm_tiny.train import Trained, window_losses
from data.recipes.vlm_tiny.vocabulary import COLOURS
from data.recipes.vlm_tiny.windows import WINDOW, Windows
from vlm_bridge.images.tile_batch import IMAGENET_MEAN, IMAGENET_STD

SHAPES = Sources(scenes=(), medical=(), shares=(1.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return build(300, 1, 2, 3).eval()


@torch.no_grad()
def test_a_window_as_wide_as_the_picture_is_the_picture(model: Any) -> None:
    batch = next(iter(Windows(SHAPES, 2, 5, side=16)))
    torch.testing.assert_close(
        window_features(model, batch.pixels, batch.place), patch_features(model, batch.pixels), atol=1e-4, rtol=1e-4
    )


def test_windows_show_what_their_labels_say() -> None:
    batch = next(iter(Windows(SHAPES, 60, 5)))
    assert batch.pixels.shape == (60, 3, WINDOW * PATCH, WINDOW * PATCH)
    assert batch.what.shape == batch.colour.shape == (60, WINDOW * 4, WINDOW * 4)
    assert bool((batch.what > 0).flatten(1).any(1).float().mean() > 0.8)
    assert bool(((batch.what > 0) == (batch.colour > 0)).all())
    assert bool((batch.place >= 0).all())
    assert bool((batch.place <= 16 - WINDOW).all())
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    brightness = ((batch.pixels * std + mean) * 255).mean(1)[:, 2::4, 2::4]
    shown = torch.stack([part[names == number].mean() for part, names, number in _largest(brightness, batch.colour)])
    white = torch.tensor([number == COLOURS.index("white") for _, _, number in _largest(brightness, batch.colour)])
    black = torch.tensor([number == COLOURS.index("black") for _, _, number in _largest(brightness, batch.colour)])
    assert bool((shown[white] > 180).all())
    assert bool((shown[black] < 75).all())
    assert bool(white.any() or black.any())


def _largest(brightness: torch.Tensor, colour: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor, int]]:
    """Each window with the number of the colour that covers most of it."""
    rows = []
    for part, names in zip(brightness, colour, strict=True):
        seen = names[names > 0]
        if len(seen):
            rows.append((part, names, int(seen.mode().values)))
    return rows


def test_vision_alone_learns_from_windows(model: Any) -> None:
    torch.manual_seed(2)
    trained = Trained(build(300, 1, 2, 3))
    batch = next(iter(Windows(SHAPES, 4, 6)))
    optimiser = torch.optim.AdamW(trained.parameters(), lr=1e-3)
    first = last = 0.0
    for step in range(12):
        losses = window_losses(trained, batch)
        optimiser.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        optimiser.step()
        last = float(losses["colour"].detach())
        first = last if step == 0 else first
    assert last < 0.6 * first
