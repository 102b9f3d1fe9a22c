"""Real files: one trained guitar in three formats, the fixtures of PlayCanvas, and broken files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from tests.vision3d.scene.random_scenes import same_bits
from vision3d.errors import SplatFileError
from vision3d.scene.catalogue import read_splats, write_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.rotations import quats_to_matrices
from vision3d.scene.selection import select_gaussians

# 4 Gaussians on a grid in the x-z plane, scale 0.1, opacity 230 / 255, as the program that made them says
GRID = torch.tensor([[-1.0, 0, -1], [0, 0, -1], [-1, 0, 0], [0, 0, 0]])
COUNTS = {
    "guitar.compressed.ply": 90_854,
    "guitar_60k_std.ply": 60_000,
    "guitar_20k.splat": 20_000,
    "fixtures/playcanvas_test.ply": 64,
    "fixtures/minimal.splat": 4,
    "fixtures/minimal-v2.spz": 4,
    "fixtures/minimal-v3.spz": 4,
    "fixtures/minimal-v4.spz": 4,
    "fixtures/minimal-raw.spz": 4,
}


@pytest.fixture(scope="module")
def splats(shared_data: Path) -> Path:
    """The folder of real splat files."""
    return shared_data / "splats_small"


@pytest.fixture(scope="module")
def guitar(splats: Path) -> GaussianScene:
    """The guitar as SuperSplat compressed it."""
    return read_splats(splats / "guitar.compressed.ply")


def read_where_possible(path: Path) -> GaussianScene:
    """The scene; files of `.spz` version 4 need zstandard."""
    if path.name == "minimal-v4.spz":
        pytest.importorskip("zstandard")
    return read_splats(path)


def same_places(scene: GaussianScene, part: GaussianScene) -> GaussianScene:
    """The Gaussians of `scene` at the places of `part`, which must be exactly the same."""
    distances, rows = KDTree(scene.means.numpy()).query(part.means.numpy())
    assert (distances == 0).all()
    return select_gaussians(scene, torch.from_numpy(np.asarray(rows)))


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_every_file_loads_and_survives_a_round_trip(splats: Path, tmp_path: Path, name: str) -> None:
    scene = read_where_possible(splats / name)
    assert len(scene) == COUNTS[name]
    write_splats(scene, tmp_path / "copy.ply")
    assert same_bits(read_splats(tmp_path / "copy.ply"), scene)


def test_the_compressed_guitar_is_the_one_another_program_decoded(guitar: GaussianScene, splats: Path) -> None:
    decoded = read_splats(splats / "guitar_60k_std.ply")
    ours = same_places(guitar, decoded)
    assert torch.equal(ours.log_scales, decoded.log_scales)
    assert torch.equal(ours.quats, decoded.quats)
    torch.testing.assert_close(ours.sh, decoded.sh, rtol=0, atol=1e-6)
    # the other program keeps opacity byte 255 at 1 - 1/512
    assert (ours.opacities - decoded.opacities).abs().max() <= 1 / 512


def test_the_splat_guitar_is_the_same_but_for_bytes(guitar: GaussianScene, splats: Path) -> None:
    rough = read_splats(splats / "guitar_20k.splat")
    ours = same_places(guitar, rough)
    torch.testing.assert_close(ours.log_scales, rough.log_scales, rtol=0, atol=1e-5)
    assert (ours.opacities - rough.opacities).abs().max() <= 1 / 255
    shown = [(0.5 + 0.28209479177387814 * scene.sh[:, 0]).clamp(0, 1) for scene in (ours, rough)]
    assert (shown[0] - shown[1]).abs().max() <= 1 / 255
    assert (quats_to_matrices(ours.quats) - quats_to_matrices(rough.quats)).abs().max() < 4 / 128


@pytest.mark.parametrize("name", ["minimal.splat", "minimal-v3.spz", "minimal-v4.spz"])
def test_one_grid_in_several_formats_lies_in_the_same_axes(splats: Path, name: str) -> None:
    scene = read_where_possible(splats / "fixtures" / name)
    assert torch.equal(scene.means, GRID)
    torch.testing.assert_close(scene.opacities, torch.full((4,), 230 / 255))
    # ln 0.1 = -2.3026, in steps of 1/16 for .spz
    assert (scene.log_scales + 2.3026).abs().max() <= 1 / 32
    # red and green rise with x and z: 1/3 and 2/3, blue is 0.5 (bytes of 1 / 255 / 0.15 x 0.28 for .spz)
    colours = 0.5 + 0.28209479177387814 * scene.sh[:, 0]
    expected = torch.tensor([[1, 1, 1.5], [2, 1, 1.5], [1, 2, 1.5], [2, 2, 1.5]]) / 3
    assert (colours - expected).abs().max() <= 0.005


@pytest.mark.parametrize("name", ["minimal-v2.spz", "minimal-raw.spz"])
def test_the_hand_made_spz_fixtures_were_not_turned(splats: Path, name: str) -> None:
    """Their maker wrote the grid without the turn to the format's axes, so it comes back turned."""
    scene = read_splats(splats / "fixtures" / name)
    assert torch.equal(scene.means, GRID * torch.tensor([1.0, -1, -1]))


def test_the_test_scene_with_sh_looks_trained(splats: Path) -> None:
    scene = read_splats(splats / "fixtures" / "playcanvas_test.ply")
    assert scene.sh_degree == 3
    # higher bands are small beside the base colours (codes lie around 128, which is 1/64)
    assert scene.sh[:, 1:].abs().mean() < 0.2 * scene.sh[:, 0].abs().mean()
    assert scene.means.abs().max() < 2


def test_the_guitar_survives_splat_within_bytes(guitar: GaussianScene, tmp_path: Path) -> None:
    write_splats(guitar, tmp_path / "guitar.splat")
    found = read_splats(tmp_path / "guitar.splat")
    assert torch.equal(found.means, guitar.means)
    assert (found.opacities - guitar.opacities).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("name", "said"),
    [("derived_truncated_splat.ply", "found 200000. The file is cut"), ("derived_zero_vertices.ply", "0 vertices")],
)
def test_broken_files_behave_as_their_manifest_says(shared_data: Path, name: str, said: str) -> None:
    with pytest.raises(SplatFileError, match=said):
        read_splats(shared_data / "robust_files" / "scene" / name)


@pytest.mark.parametrize("name", ["scene_fox/points3D.ply", "scene_fern/points3D.ply"])
def test_point_clouds_of_real_scenes_are_named_as_such(shared_data: Path, name: str) -> None:
    with pytest.raises(SplatFileError, match="plain point cloud"):
        read_splats(shared_data / name)
