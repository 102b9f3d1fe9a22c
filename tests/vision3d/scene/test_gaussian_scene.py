"""The scene type: activations by hand, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from tests.vision3d.scene.random_scenes import random_scene
from vision3d.errors import InvalidInputError
from vision3d.scene.gaussian_scene import GaussianScene, check_finite


def test_activations_by_hand() -> None:
    scene = random_scene(2, sh_degree=2)
    scene.log_scales[0] = torch.tensor([0.0, 0.6931472, -0.6931472])
    scene.opacity_logits[:] = torch.tensor([0.0, float("inf")])
    torch.testing.assert_close(scene.scales[0], torch.tensor([1.0, 2.0, 0.5]))
    assert scene.opacities.tolist() == [0.5, 1.0]
    assert (len(scene), scene.sh_degree) == (2, 2)


def test_coefficients_of_no_degree_are_refused() -> None:
    whole = random_scene(2)
    for shape in ((2, 5, 3), (2, 25, 3), (2, 0, 3)):
        with pytest.raises(InvalidInputError, match="degree 0-3"):
            GaussianScene(
                means=whole.means,
                quats=whole.quats,
                log_scales=whole.log_scales,
                opacity_logits=whole.opacity_logits,
                sh=torch.zeros(shape),
            )


def test_finite_values_and_infinite_opacity_pass() -> None:
    scene = random_scene(3, sh_degree=3)
    scene.opacity_logits[0] = float("inf")
    check_finite(scene, "scene.ply")
    check_finite(random_scene(0), "scene.ply")


@pytest.mark.parametrize("field", ["means", "quats", "log_scales", "sh"])
def test_infinite_values_are_named(field: str) -> None:
    scene = random_scene(3)
    getattr(scene, field)[2].flatten()[0] = float("-inf")
    with pytest.raises(InvalidInputError, match=f"scene.ply: .*1 of 3 Gaussians with a bad {field}"):
        check_finite(scene, "scene.ply")


def test_detaching_leaves_the_values() -> None:
    scene = random_scene(2)
    scene.means.requires_grad_()
    assert not scene.detach().means.requires_grad
    assert torch.equal(scene.detach().means, scene.means)
