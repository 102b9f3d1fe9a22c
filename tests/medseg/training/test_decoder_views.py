"""What the decoder is given in training: masks on its grid, windows, thin structures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.grounding.picture_fit import PictureFit
from medseg.training.answer_items import AnswerItems, ItemSettings, RunOrder, part_meant
from medseg.training.decoder_views import (
    OUTSIDE_LOGIT,
    decoder_grid,
    is_fine,
    scaled_mask,
    whole_view,
    window_view,
)
from medseg.training.losses import IGNORED
from medseg.training.records import load_mask
from medseg.training.taught_answers import taught_answers
from tests.medseg.training.shapes import tiny_medseg, write_shapes
from vlm_bridge.finetune.batches import LengthBuckets

FIT = PictureFit(side=64)


def settings_of(**changes: object) -> ItemSettings:
    return ItemSettings(**{"fit": FIT, "grid": 32, "seed": 0, "fine_share": 0.35, "fine_labels": (), **changes})


def test_shares_of_pixels_and_padding() -> None:
    """A picture of 32 x 64 fills the upper half; a mask of three of its columns is one and a half of the grid's."""
    mask = np.zeros((32, 64), bool)
    mask[:, :3] = True
    found = whole_view(FIT).mask(mask, 32)
    assert found[0, :3].tolist() == [1.0, 0.5, 0.0]
    assert (found[:16] != IGNORED).all()
    assert (found[16:] == IGNORED).all()
    earlier = whole_view(FIT).earlier(mask, 32)
    assert earlier[0, :3].tolist() == [6.0, 0.0, -6.0]
    assert (earlier[16:] == OUTSIDE_LOGIT).all()


def test_an_ignored_region_is_no_target(tmp_path: Path) -> None:
    """Half of the large disc is not to be judged: it is neither in the mask nor outside of it."""
    (record,) = write_shapes(tmp_path, 1)
    half = record.targets["half"]
    told = replace(record, targets={**record.targets, "ignore": replace(half, label="ignore")})
    plain, cut = (AnswerItems(taught_answers([one]), settings_of())[(0, 0)].truth for one in (record, told))
    share = whole_view(FIT).mask(load_mask(record, "half"), 32)
    assert not (plain.masks == IGNORED).any()
    assert 20 < (share == 1).sum() < (share > 0).sum()
    assert (cut.masks[0][share > 0.5] == IGNORED).all()
    assert torch.equal(cut.masks[0][share == 0], plain.masks[0][share == 0])
    assert cut.visible.all()


@settings(max_examples=30)
@given(
    height=st.integers(1, 90), width=st.integers(1, 90), rows=st.integers(1, 60), columns=st.integers(1, 60),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_scaling_keeps_the_share_that_is_inside(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    """Within what bins of unequal size may shift."""
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    found = scaled_mask(mask, (rows, columns))
    assert found.shape == (rows, columns)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    full = scaled_mask(np.ones((height, width), bool), (rows, columns))
    torch.testing.assert_close(full, torch.ones(rows, columns))


@settings(max_examples=20)
@given(height=st.integers(20, 300), width=st.integers(20, 300), seed=st.integers(0, 99))
def test_a_window_is_a_cut_of_the_picture_at_twice_the_resolution(height: int, width: int, seed: int) -> None:
    """The picture's own coordinates, drawn as colours, are found again where the window says it lies."""
    rng = np.random.default_rng(seed)
    target = np.zeros((height, width), bool)
    target[rng.integers(height), rng.integers(width)] = True
    view = window_view(FIT, (height, width), [target], rng)
    size = PictureFit(side=128).fitted_size(height, width)
    row, column = view.corner
    assert 0 <= row <= max(0, size[0] - 64)
    assert 0 <= column <= max(0, size[1] - 64)
    share = view.mask(np.ones((height, width), bool), 32)
    inside = (share != IGNORED).sum().item()
    assert inside == pytest.approx(min(size[0], 64) * min(size[1], 64) / 4, abs=40)
    assert view.picture(np.zeros((height, width, 3), np.uint8)).shape == (3, 64, 64)


def test_most_windows_hold_a_target() -> None:
    target = np.zeros((200, 200), bool)
    target[150:160, 20:30] = True
    rng = np.random.default_rng(0)
    views = [window_view(FIT, (200, 200), [target], rng) for _ in range(60)]
    held = [
        bool(((mask := view.mask(target, 32)) != IGNORED).any() and (mask[mask != IGNORED] > 0).any()) for view in views
    ]
    assert sum(held) >= 45


def test_thin_and_small_things_are_fine() -> None:
    grid = torch.zeros(32, 32)
    disc = ((torch.arange(32)[:, None] - 16) ** 2 + (torch.arange(32)[None] - 16) ** 2 < 49).float()
    line, dot, faint = grid.clone(), grid.clone(), grid.clone()
    line[10:12], dot[4:6, 4:6], faint[3, 3] = 1, 1, 0.1
    assert [is_fine(one, 0.35) for one in (disc, line, dot, faint, grid)] == [False, True, True, True, False]
    padded = torch.full((32, 32), IGNORED)
    assert not is_fine(padded, 0.35)


def test_parts_of_an_earlier_mask_are_known_by_their_place() -> None:
    earlier = np.zeros((20, 20), bool)
    earlier[4:16, 4:16] = True
    rows, columns = np.arange(20)[:, None], np.arange(20)[None]
    cuts = (earlier, earlier & (rows < 10), earlier & (rows >= 10), earlier & (columns < 10), earlier & (columns >= 10))
    assert [part_meant(cut, earlier) for cut in cuts] == [0, 1, 2, 3, 4]
    assert part_meant(cuts[1], None) == part_meant(np.zeros_like(earlier), earlier) == -1


def test_items_are_the_same_whenever_they_are_made(tmp_path: Path) -> None:
    answers = taught_answers(write_shapes(tmp_path, 2))
    items = AnswerItems(answers, settings_of(fine_labels=("small",)))
    for at in ((3, 3), (9, 3), (3, 2)):
        one, other = items[at], items[at]
        assert torch.equal(one.views, other.views)
        assert torch.equal(one.truth.masks, other.truth.masks)
    both = items[(0, 3)]  # the larger disc in the whole picture, the smaller in a window
    assert both.view.tolist() == [0, 1]
    assert both.truth.fine.tolist() == [False, True]
    assert len(both.views) == 2
    assert len(items[(0, 5)].views) == len(items[(0, 5)].view) == 0


def test_earlier_masks_are_given_or_what_parts_are_cut_from(tmp_path: Path) -> None:
    """Where inference cuts a part by geometry, the decoder learns the whole, and is given nothing."""
    answers = taught_answers(write_shapes(tmp_path, 1))
    drawn, cut = (AnswerItems(answers, settings_of(earlier=way))[(0, 1)] for way in ("drawn", "cut"))
    whole = AnswerItems(answers, settings_of())[(0, 0)]
    assert drawn.truth.part.tolist() == cut.truth.part.tolist() == [1]
    assert drawn.truth.of_previous.tolist() == [True]
    assert not torch.isnan(drawn.previous).any()
    assert torch.isnan(cut.previous).all()
    assert torch.equal(cut.truth.masks, whole.truth.masks)
    assert drawn.truth.masks.sum() < 0.7 * whole.truth.masks.sum()


def test_pictures_are_varied_by_their_place_in_the_run(tmp_path: Path) -> None:
    def brighter(picture, masks, record, rng):
        return np.clip(picture + rng.integers(1, 60), 0, 255).astype(np.uint8), masks

    items = AnswerItems(taught_answers(write_shapes(tmp_path, 1)), settings_of(), brighter)
    assert np.array_equal(items[(4, 0)].picture, items[(4, 0)].picture)
    assert not np.array_equal(items[(4, 0)].picture, items[(5, 0)].picture)


def test_a_run_goes_on_in_the_middle_of_an_epoch() -> None:
    def first(count: int, start: int) -> list[list[tuple[int, int]]]:
        order = RunOrder(LengthBuckets([5, 3, 8, 1, 9, 2, 7], batch_size=3, seed=4), first_pass=start)
        return [batch for _, batch in zip(range(count), order, strict=False)]

    whole = first(8, 0)
    assert whole[5:] == first(3, 5)
    assert sorted(number for batch in whole[:3] for _, number in batch) == list(range(7))
    assert len({place for batch in whole for place, _ in batch}) == sum(len(batch) for batch in whole)


def test_the_grid_is_found_and_the_decoder_left_as_it_was() -> None:
    decoder = tiny_medseg().decoder
    decoder.train()
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    assert decoder_grid(decoder) == 32
    assert all(module.training for module in decoder.modules())
    assert all(torch.equal(value, before[name]) for name, value in decoder.state_dict().items())
