"""The guards of tests/conftest.py, each seen to bite."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import vision3d.rendering.kernels
from tests.conftest import NetworkRefused, shape_checked_modules
from tests.conventions.source_files import PRODUCT
from vision3d.scene.gaussian_scene import GaussianScene


def test_connection_to_another_machine_is_refused() -> None:
    # 192.0.2.0/24 is reserved for documentation (RFC 5737): no machine answers there.
    with socket.socket() as connection, pytest.raises(NetworkRefused, match=r"192\.0\.2\.1"):
        connection.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("turn", [1, 2])
def test_a_plugin_that_lets_the_network_in_does_so_for_one_test_at_most(turn: int) -> None:
    try:
        with socket.socket() as connection, pytest.raises(NetworkRefused):
            connection.connect(("192.0.2.1", 80))
    finally:
        del socket.socket.connect  # as plugins do that put the inherited method back after each test


def test_connection_on_this_machine_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as connection:
            assert connection.getpeername() == server.getsockname()


def test_wrong_shape_is_caught() -> None:
    scene = GaussianScene(
        means=torch.zeros(2, 3),
        quats=torch.ones(2, 4),
        log_scales=torch.zeros(2, 3),
        opacity_logits=torch.zeros(2),
        sh=torch.zeros(2, 1, 3),
    )
    # Integers pass the class's own checks of sizes; only the signature says Float.
    with pytest.raises(TypeCheckError, match="means"):
        GaussianScene(
            means=scene.means.int(),
            quats=scene.quats,
            log_scales=scene.log_scales,
            opacity_logits=scene.opacity_logits,
            sh=scene.sh,
        )


def test_kernels_are_left_unwrapped(checkout: Path) -> None:
    assert (checkout / "vision3d/rendering/kernels").is_dir()
    checked = shape_checked_modules()
    assert "vision3d.rendering.renderer" in checked
    assert not [name for name in checked if name.startswith(vision3d.rendering.kernels.__name__)]


def test_no_package_is_left_unchecked(checkout: Path) -> None:
    packages = {name for name in PRODUCT if (checkout / name / "__init__.py").is_file()}
    assert {name.partition(".")[0] for name in shape_checked_modules()} == packages


@pytest.mark.parametrize("number", [1, 2])
def test_seeds_are_the_same_in_every_test(number: int) -> None:
    # The first draw after torch.manual_seed(0), whichever of the two runs first.
    expected = torch.rand(1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.rand(1), expected)
