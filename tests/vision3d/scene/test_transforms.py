"""Moving scenes: rotations, spherical harmonics, and the law that a moved camera sees the same picture."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.scene.random_scenes import random_scene
from vision3d.errors import InvalidInputError
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.rotations import matrix_to_quat, multiply_quats, quats_to_matrices
from vision3d.scene.spherical_harmonics import rotate_sh, sh_basis
from vision3d.scene.transforms import apply_similarity, inverse_similarity

unit = torch.nn.functional.normalize


def unit_quats() -> st.SearchStrategy[torch.Tensor]:
    """Rotations, half turns and near-half turns among them."""
    component = st.sampled_from([0.0, 1e-9, -1e-4, 0.5, -0.5, 1.0]) | st.floats(-1, 1)
    return (
        st.lists(component, min_size=4, max_size=4)
        .filter(lambda values: math.hypot(*values) > 0.1)
        .map(lambda values: unit(torch.tensor(values, dtype=torch.float64), dim=0))
    )


def covariances(scene: GaussianScene) -> torch.Tensor:
    """R diag(scale^2) R^T."""
    matrices = quats_to_matrices(scene.quats) * scene.scales[:, None]
    return matrices @ matrices.transpose(1, 2)


def test_basis_functions_are_orthonormal() -> None:
    """Over the sphere, by Gauss-Legendre in z times an even sweep in angle, exact for products up to degree 6."""
    nodes = torch.tensor([-0.9324695142031521, -0.6612093864662645, -0.2386191860831969], dtype=torch.float64)
    weights = torch.tensor([0.1713244923791704, 0.3607615730481386, 0.4679139345726910], dtype=torch.float64)
    z, w = torch.cat([nodes, -nodes]), torch.cat([weights, weights])
    angle = torch.arange(16, dtype=torch.float64) * 2 * math.pi / 16
    radius = torch.sqrt(1 - z * z)[:, None]
    directions = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle), z[:, None].expand(-1, 16)], -1)
    basis = sh_basis(directions, 3)
    products = torch.einsum("zak,zal,z->kl", basis, basis, w) * 2 * math.pi / 16
    torch.testing.assert_close(products, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-12)


def test_basis_agrees_with_gsplat() -> None:
    reference = pytest.importorskip("gsplat.cuda._torch_impl")
    directions = unit(torch.randn(50, 3, dtype=torch.float64), dim=1)
    coefficients = torch.randn(50, 16, 3, dtype=torch.float64)
    expected = reference._spherical_harmonics(3, directions, coefficients)
    torch.testing.assert_close(torch.einsum("nk,nkc->nc", sh_basis(directions, 3), coefficients), expected)


def test_degrees_outside_0_to_3_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="found 4"):
        sh_basis(torch.zeros(1, 3), 4)


@given(quat=unit_quats(), degree=st.integers(0, 3))
def test_turned_sh_shows_along_turned_directions_what_it_showed_before(quat: torch.Tensor, degree: int) -> None:
    turn = quats_to_matrices(quat)
    sh = torch.randn(4, (degree + 1) ** 2, 3, dtype=torch.float64)
    directions = unit(torch.randn(20, 3, dtype=torch.float64), dim=1)
    before = torch.einsum("dk,gkc->dgc", sh_basis(directions, degree), sh)
    after = torch.einsum("dk,gkc->dgc", sh_basis(directions @ turn.T, degree), rotate_sh(sh, turn))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-10)


@given(quat=unit_quats())
def test_a_matrix_gives_back_its_quaternion(quat: torch.Tensor) -> None:
    found = matrix_to_quat(quats_to_matrices(quat))
    assert float(found[0]) >= 0
    torch.testing.assert_close(quats_to_matrices(found), quats_to_matrices(quat), rtol=0, atol=1e-9)


@given(first=unit_quats(), second=unit_quats())
def test_quaternion_products_are_matrix_products(first: torch.Tensor, second: torch.Tensor) -> None:
    product = quats_to_matrices(multiply_quats(first, second))
    torch.testing.assert_close(product, quats_to_matrices(first) @ quats_to_matrices(second), rtol=0, atol=1e-12)


@given(quat=unit_quats(), scale=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_a_camera_moved_with_the_scene_sees_the_same(quat: torch.Tensor, scale: float, seed: int) -> None:
    scene = random_scene(10, sh_degree=3, seed=seed)
    rotation = quats_to_matrices(quat)
    transform = torch.cat([rotation, torch.tensor([[1.0], [-2], [3]], dtype=torch.float64)], dim=1)
    moved = apply_similarity(scene, transform, scale)
    eye = torch.tensor([4.0, 5, 6], dtype=torch.float64)
    moved_eye = scale * (rotation @ eye + transform[:, 3])
    seen, seen_moved = scene.means.double() - eye, moved.means.double() - moved_eye
    torch.testing.assert_close(seen_moved, scale * seen @ rotation.T, rtol=1e-4, atol=1e-4 * scale)
    colour, moved_colour = (
        torch.einsum("nk,nkc->nc", sh_basis(unit(rays, dim=1), 3), coefficients.double())
        for rays, coefficients in ((seen, scene.sh), (seen_moved, moved.sh))
    )
    torch.testing.assert_close(moved_colour, colour, rtol=0, atol=1e-4)
    turn = rotation.float()
    expected = scale**2 * turn @ covariances(scene) @ turn.T
    torch.testing.assert_close(covariances(moved), expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    assert torch.equal(moved.opacity_logits, scene.opacity_logits)


@given(quat=unit_quats(), scale=st.floats(0.01, 100))
def test_the_inverse_undoes_a_similarity(quat: torch.Tensor, scale: float) -> None:
    scene = random_scene(5, sh_degree=1)
    transform = torch.cat([quats_to_matrices(quat), torch.ones(3, 1, dtype=torch.float64)], dim=1)
    back = apply_similarity(apply_similarity(scene, transform, scale), *inverse_similarity(transform, scale))
    torch.testing.assert_close(back.means, scene.means, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(back.log_scales, scene.log_scales, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(covariances(back), covariances(scene), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("diagonal", "scale", "said"),
    [
        ((1.0, 1, -1), 1.0, "determinant -1"),
        ((2.0, 2, 2), 1.0, "determinant 8"),
        ((float("nan"), 1, 1), 1.0, "rotation"),
        ((1.0, 1, 1), 0.0, "positive, finite scale"),
        ((1.0, 1, 1), -2.0, "positive, finite scale"),
        ((1.0, 1, 1), float("nan"), "positive, finite scale"),
    ],
)
def test_what_is_no_similarity_is_refused(diagonal: tuple[float, ...], scale: float, said: str) -> None:
    transform = torch.cat([torch.diag(torch.tensor(diagonal)), torch.zeros(3, 1)], dim=1)
    with pytest.raises(InvalidInputError, match=said):
        apply_similarity(random_scene(1), transform, scale)
    with pytest.raises(InvalidInputError, match=said):
        inverse_similarity(transform, scale)
