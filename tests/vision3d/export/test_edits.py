"""Edits: what changes is what was asked for, everything else keeps its bits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.vision3d.export.ball_laga import make_ball_laga
from tests.vision3d.scene.random_scenes import random_scene, same_bits
from vision3d.errors import InvalidInputError
from vision3d.export.edits import (
    Duplicate,
    Edit,
    Isolate,
    Move,
    Recolour,
    Remove,
    apply_edit,
    describe_edit,
    recoloured,
    unedited,
)
from vision3d.rendering.render_views import render_views
from vision3d.scene.gaussian_scene import SH_C0
from vision3d.scene.rotations import quats_to_matrices
from vision3d.scene.selection import concatenate_scenes, remove_gaussians, select_gaussians
from vision3d.scene.spherical_harmonics import sh_basis

CHOSEN = torch.zeros(30, dtype=torch.bool)
CHOSEN[[2, 3, 17]] = True
QUARTER = (math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5))
"""A quarter turn about z."""


@pytest.fixture
def scene():
    return random_scene(30, sh_degree=3)


def test_remove_and_isolate_split_the_scene_in_two(scene) -> None:
    kept = apply_edit(unedited(scene), Remove(chosen=CHOSEN))
    alone = apply_edit(unedited(scene), Isolate(chosen=CHOSEN))
    assert same_bits(kept.scene, remove_gaussians(scene, CHOSEN))
    assert same_bits(alone.scene, select_gaussians(scene, CHOSEN))
    assert sorted([*kept.source.tolist(), *alone.source.tolist()]) == list(range(30))
    assert alone.source.tolist() == [2, 3, 17]


@pytest.mark.parametrize(
    "edit",
    [
        Recolour(chosen=CHOSEN, colour=(0.1, 0.9, 0.2)),
        Move(chosen=CHOSEN, offset=(1.0, 2.0, 3.0), rotation=QUARTER, scale=2.0),
        Duplicate(chosen=CHOSEN, offset=(1.0, 0.0, 0.0), rotation=QUARTER),
    ],
)
def test_what_is_not_chosen_keeps_its_bits_and_nothing_is_changed_in_place(scene, edit: Edit) -> None:
    before = replace(scene, **{name: getattr(scene, name).clone() for name in ("means", "quats", "log_scales", "sh")})
    after = apply_edit(unedited(scene), edit).scene
    assert same_bits(scene, before)
    assert same_bits(
        remove_gaussians(select_gaussians(after, torch.arange(30)), CHOSEN), remove_gaussians(scene, CHOSEN)
    )


def test_a_mere_shift_touches_the_centres_alone(scene) -> None:
    after = apply_edit(unedited(scene), Move(chosen=CHOSEN, offset=(1.0, 2.0, 3.0))).scene
    assert same_bits(replace(after, means=scene.means), scene)
    assert torch.allclose(after.means[CHOSEN] - scene.means[CHOSEN], torch.tensor([1.0, 2.0, 3.0]), atol=1e-5)


def test_a_turn_worked_by_hand(scene) -> None:
    edit = Move(chosen=torch.tensor([2]), offset=(0.0, 0.0, 1.0), rotation=(2.0, 0.0, 0.0, 2.0), scale=3.0,
                pivot=(1.0, 0.0, 0.0))  # fmt: skip
    before = replace(scene, means=scene.means.index_fill(0, torch.tensor([2]), 0.0))
    after = apply_edit(unedited(before), edit).scene
    # from the pivot at x = 1 the origin lies at -x, a quarter turn takes it to -y, three times as far
    assert after.means[2].tolist() == pytest.approx([1.0, -3.0, 1.0], abs=1e-5)
    assert torch.allclose(after.scales[2], 3 * scene.scales[2], rtol=1e-5)
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert torch.allclose(quats_to_matrices(after.quats[2]), turn @ quats_to_matrices(scene.quats[2]), atol=1e-5)


def test_a_turned_scene_looks_the_same_to_cameras_turned_with_it() -> None:
    made = make_ball_laga(3)
    scene = replace(made.laga.scene, sh=torch.cat([made.laga.scene.sh, 0.2 * torch.randn(len(made.truth), 15, 3)], 1))
    everything = torch.ones(len(scene), dtype=torch.bool)
    turned = apply_edit(unedited(scene), Move(chosen=everything, rotation=QUARTER, pivot=(0.0, 0.0, 0.0)))
    back = torch.eye(4)
    back[:3, :3] = quats_to_matrices(torch.tensor(QUARTER)).T
    cameras = replace(made.balls.cameras, world_to_camera=made.balls.cameras.world_to_camera @ back)
    seen = render_views(turned.scene, cameras).colour
    assert (seen - render_views(scene, made.balls.cameras).colour).abs().max() < 1e-4


def test_a_copy_comes_at_the_end_with_where_it_is_from(scene) -> None:
    first = apply_edit(unedited(scene), Duplicate(chosen=CHOSEN, offset=(5.0, 0.0, 0.0)))
    second = apply_edit(first, Duplicate(chosen=torch.tensor([31]), offset=(0.0, 5.0, 0.0)))
    assert same_bits(select_gaussians(second.scene, torch.arange(30)), scene)
    assert second.source[30:].tolist() == [2, 3, 17, 3]
    assert second.copy.tolist() == [0] * 30 + [1, 1, 1, 2]
    assert torch.allclose(second.scene.means[33], scene.means[3] + torch.tensor([5.0, 5.0, 0.0]), atol=1e-5)


def test_shading_is_kept_in_every_direction(scene) -> None:
    directions = torch.nn.functional.normalize(torch.randn(20, 3), dim=-1)
    basis = sh_basis(directions, 3)
    painted = recoloured(scene, (0.2, 0.4, 0.8))
    before, after = (torch.einsum("dk,gkc->gdc", basis, one.sh) + 0.5 for one in (scene, painted))
    brightness = before @ torch.tensor([0.2126, 0.7152, 0.0722])
    mean = (brightness * 0 + (scene.sh[:, :1] @ torch.tensor([0.2126, 0.7152, 0.0722]) * SH_C0 + 0.5)).clamp_min(0)
    expected = brightness[..., None] * torch.tensor([0.2, 0.4, 0.8]) / mean[:, 0].mean()
    assert torch.allclose(after, expected, atol=1e-4)


def test_bare_colour_is_the_colour_from_everywhere(scene) -> None:
    painted = apply_edit(unedited(scene), Recolour(chosen=CHOSEN, colour=(1.0, 0.5, 0.0), keep_shading=False)).scene
    assert torch.allclose(painted.sh[CHOSEN][:, 0] * SH_C0 + 0.5, torch.tensor([1.0, 0.5, 0.0]), atol=1e-6)
    assert not painted.sh[CHOSEN][:, 1:].any()


def test_edits_are_data(scene) -> None:
    edit = Move(chosen=CHOSEN, offset=(1.0, 0.0, 0.0))
    assert describe_edit(edit) == {
        "edit": "move", "gaussians": 3, "offset": (1.0, 0.0, 0.0), "rotation": (1.0, 0.0, 0.0, 0.0), "scale": 1.0,
        "pivot": None,
    }  # fmt: skip
    rows = apply_edit(unedited(scene), replace(edit, chosen=torch.tensor([17, 2, 3]))).scene
    assert same_bits(rows, apply_edit(unedited(scene), edit).scene)
    assert len(concatenate_scenes([rows, scene])) == 60


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Remove(chosen=torch.zeros(30, dtype=torch.bool)), "at least one Gaussian"),
        (lambda: Remove(chosen=torch.ones(30, dtype=torch.bool)), "all 30 chosen"),
        (lambda: Isolate(chosen=torch.ones(29, dtype=torch.bool)), "this very scene"),
        (lambda: Move(chosen=torch.tensor([30])), "rows from 0 to 29"),
        (lambda: Move(chosen=CHOSEN, scale=0.0), "positive scale"),
        (lambda: Move(chosen=CHOSEN, rotation=(0.0, 0.0, 0.0, 0.0)), "non-zero length"),
        (lambda: Duplicate(chosen=CHOSEN, offset=(0.0, math.nan, 0.0)), "finite numbers"),
        (lambda: Recolour(chosen=CHOSEN, colour=(255.0, 0.0, 0.0)), "Divide by 255"),
    ],
)
def test_impossible_edits_say_why(scene, make, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        apply_edit(unedited(scene), make())
