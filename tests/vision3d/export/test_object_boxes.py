"""Boxes: both of them, their volume and centroid, and the strays that do not count."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from tests.vision3d.export.ball_laga import make_ball_laga
from vision3d.errors import InvalidInputError
from vision3d.export.object_boxes import boxes_content, object_shape
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.rotations import quats_to_matrices
from vision3d.scene.selection import select_gaussians


def _points(means: torch.Tensor) -> GaussianScene:
    count = len(means)
    return GaussianScene(
        means=means, quats=torch.ones(count, 4), log_scales=torch.zeros(count, 3), opacity_logits=torch.zeros(count),
        sh=torch.zeros(count, 1, 3),
    )  # fmt: skip


def _grid() -> torch.Tensor:
    return torch.cartesian_prod(torch.linspace(0, 4, 9), torch.linspace(0, 2, 5), torch.linspace(0, 1, 3))


def test_a_turned_brick_keeps_its_edges_and_its_volume() -> None:
    turn = quats_to_matrices(torch.tensor([math.cos(0.3), 0.0, 0.0, math.sin(0.3)]))
    shape = object_shape(_points(_grid() @ turn.T + 7), stray_share=0.0)
    assert (2 * shape.oriented.half_extents).tolist() == pytest.approx([4, 2, 1], abs=1e-3)
    assert shape.volume == pytest.approx(8, rel=1e-4)
    assert shape.axis_aligned.size[0] > 4
    centre = torch.tensor([2.0, 1.0, 0.5]) @ turn.T + 7
    assert shape.centroid.tolist() == pytest.approx(centre.tolist(), abs=1e-4)


def test_strays_stick_out() -> None:
    means = torch.cat([_grid(), torch.tensor([[100.0, 0.0, 0.0]])])
    shape = object_shape(_points(means))
    assert shape.axis_aligned.maximum.tolist() == pytest.approx([4, 2, 1])
    assert shape.volume == pytest.approx(8, rel=0.02)  # the stray tilts the turned box a little


def test_faint_gaussians_hardly_move_the_centroid() -> None:
    scene = _points(torch.tensor([[0.0, 0, 0], [1, 0, 0]]))
    scene = replace(scene, opacity_logits=torch.tensor([20.0, -20.0]))
    assert object_shape(scene).centroid[0] < 1e-6


@pytest.mark.parametrize("means", [torch.ones(1, 3), torch.eye(3), torch.rand(20, 3) * torch.tensor([1.0, 1.0, 0.0])])
def test_flat_sets_have_no_volume(means: torch.Tensor) -> None:
    assert object_shape(_points(means)).volume == pytest.approx(0, abs=1e-9)


def test_nothing_has_no_shape() -> None:
    with pytest.raises(InvalidInputError, match="found none"):
        object_shape(_points(torch.zeros(0, 3)))


def test_the_boxes_of_balls_lie_where_the_balls_are() -> None:
    made = make_ball_laga(2)
    content = boxes_content(made.laga.scene, {f"ball {ball}": made.truth == ball for ball in range(4)})
    content = json.loads(json.dumps(content))
    for ball, record in enumerate(content["objects"]):
        means = select_gaussians(made.laga.scene, made.truth == ball).means
        assert record["name"] == f"ball {ball}"
        assert record["box"]["minimum"] == pytest.approx(means.amin(0).tolist(), abs=0.05)
        assert record["centroid"] == pytest.approx(means.mean(0).tolist(), abs=1e-4)
        axes = torch.tensor(record["oriented_box"]["axes"])
        assert torch.allclose(axes @ axes.T, torch.eye(3), atol=1e-5)
