"""Selections: masks and rows mean the same, compose, and are checked."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.scene.random_scenes import random_scene, same_bits
from vision3d.errors import InvalidInputError
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import (
    concatenate_scenes,
    remove_gaussians,
    select_gaussians,
    selection_mask,
    with_sh_degree,
)
from vision3d.scene.spherical_harmonics import sh_basis

masks = st.lists(st.booleans(), min_size=1, max_size=40).map(torch.tensor)


@given(mask=masks)
def test_a_mask_and_its_rows_choose_the_same(mask: torch.Tensor) -> None:
    scene = random_scene(len(mask), sh_degree=1)
    rows = torch.nonzero(mask)[:, 0]
    chosen = select_gaussians(scene, mask)
    assert same_bits(chosen, select_gaussians(scene, rows))
    assert same_bits(chosen, select_gaussians(scene, rows.int()))
    assert torch.equal(selection_mask(rows, len(mask)), mask)


@given(mask=masks, data=st.data())
def test_selecting_twice_is_selecting_once(mask: torch.Tensor, data: st.DataObject) -> None:
    scene = random_scene(len(mask))
    chosen = int(mask.sum())
    second = torch.tensor(data.draw(st.lists(st.booleans(), min_size=chosen, max_size=chosen)), dtype=torch.bool)
    both = mask.clone()
    both[mask] = second
    assert same_bits(select_gaussians(select_gaussians(scene, mask), second), select_gaussians(scene, both))


@given(mask=masks)
def test_what_is_removed_and_what_stays_make_the_whole(mask: torch.Tensor) -> None:
    scene = random_scene(len(mask), sh_degree=2)
    parts = concatenate_scenes([select_gaussians(scene, mask), remove_gaussians(scene, mask)])
    order = torch.cat([torch.nonzero(mask)[:, 0], torch.nonzero(~mask)[:, 0]])
    assert same_bits(select_gaussians(parts, torch.argsort(order)), scene)


def test_rows_may_reorder_and_repeat() -> None:
    scene = random_scene(3)
    found = select_gaussians(scene, torch.tensor([2, 0, 0]))
    assert torch.equal(found.means, scene.means[[2, 0, 0]])
    assert len(remove_gaussians(scene, torch.tensor([2, 2]))) == 2


def test_gradients_flow_to_the_chosen_only() -> None:
    scene = random_scene(3)
    scene.means.requires_grad_()
    select_gaussians(scene, torch.tensor([False, True, False])).means.sum().backward()
    assert scene.means.grad is not None
    assert scene.means.grad.sum(1).tolist() == [0, 3, 0]


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (torch.ones(2, dtype=torch.bool), "each of 3 Gaussians"),
        (torch.tensor([0, 3]), "rows from 0 to 2, found 1 outside, e.g. 3"),
        (torch.tensor([-1]), "found 1 outside, e.g. -1"),
    ],
)
def test_selections_that_do_not_fit_are_refused(which: torch.Tensor, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        select_gaussians(random_scene(3), which)
    with pytest.raises(InvalidInputError, match=said):
        remove_gaussians(random_scene(3), which)


def test_nothing_chosen_is_an_empty_scene() -> None:
    assert len(select_gaussians(random_scene(3), torch.zeros(3, dtype=torch.bool))) == 0
    assert len(select_gaussians(random_scene(3), torch.zeros(0, dtype=torch.long))) == 0


def test_joining_fills_missing_bands_without_changing_a_colour() -> None:
    flat, shaded = random_scene(2), random_scene(3, sh_degree=3)
    joined = concatenate_scenes([flat, shaded])
    assert (len(joined), joined.sh_degree) == (5, 3)
    basis = sh_basis(torch.nn.functional.normalize(torch.randn(7, 3), dim=1), 3)
    torch.testing.assert_close(basis @ joined.sh[0], basis[:, :1] @ flat.sh[0])
    for field in fields(GaussianScene):
        assert torch.equal(getattr(joined, field.name)[2:], getattr(shaded, field.name))


def test_degrees_are_cut_and_filled() -> None:
    scene = random_scene(2, sh_degree=3)
    assert torch.equal(with_sh_degree(scene, 1).sh, scene.sh[:, :4])
    assert same_bits(with_sh_degree(with_sh_degree(random_scene(2), 2), 0), random_scene(2))
    with pytest.raises(InvalidInputError, match="found 4"):
        with_sh_degree(scene, 4)


def test_joining_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one scene"):
        concatenate_scenes([])
