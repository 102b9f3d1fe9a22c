"""antimatter15's `.splat`: bytes worked out by hand, byte-exact rewriting, stated losses."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.scene.random_scenes import random_scene
from vision3d.errors import SplatFileError
from vision3d.scene.rotations import quats_to_matrices
from vision3d.scene.splat_file import read_splat, write_splat

ROW = struct.Struct("<3f3f4B4B")


def test_one_row_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a.splat").write_bytes(ROW.pack(1, -2, 3, 1, 0.5, 2, 255, 0, 51, 204, 128, 256 - 64, 64, 192))
    scene = read_splat(tmp_path / "a.splat")
    assert scene.means.tolist() == [[1, -2, 3]]
    torch.testing.assert_close(scene.log_scales, torch.tensor([[0.0, -0.6931472, 0.6931472]]))  # ln 1, ln 0.5, ln 2
    torch.testing.assert_close(scene.sh[0, 0], (torch.tensor([1.0, 0.0, 0.2]) - 0.5) / 0.28209479177387814)
    torch.testing.assert_close(scene.opacities, torch.tensor([0.8]))
    assert scene.quats.tolist() == [[0.0, 0.5, -0.5, 0.5]]  # (byte - 128) / 128
    assert scene.sh_degree == 0


@given(
    rows=st.lists(
        st.tuples(
            st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3),
            st.lists(st.floats(2.0**-13, 1024, width=32), min_size=3, max_size=3),
            st.binary(min_size=4, max_size=4),
            st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda quat: np.linalg.norm(quat) > 0.1),
        ),
        min_size=1,
        max_size=20,
    ),
    truncating=st.booleans(),
)
def test_rewriting_gives_the_same_bytes(
    rows: list[tuple[list[float], list[float], bytes, list[float]]],
    truncating: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever wrote the file from unit rotations, by rounding or, as the format's own converter, by cutting off."""
    folder = tmp_path_factory.mktemp("splat")
    content = b""
    for position, scale, rgba, quat in rows:
        scaled = np.array(quat) / np.linalg.norm(quat) * 128 + 128
        code = np.clip(scaled if truncating else np.rint(scaled), 0, 255).astype(np.uint8)
        content += ROW.pack(*position, *scale, *rgba, *code)
    (folder / "a.splat").write_bytes(content)
    write_splat(read_splat(folder / "a.splat"), folder / "b.splat")
    before, after = (
        np.frombuffer((folder / name).read_bytes(), np.uint8).reshape(-1, 32) for name in ("a.splat", "b.splat")
    )
    np.testing.assert_array_equal(after[:, :12], before[:, :12])
    np.testing.assert_array_equal(after[:, 24:], before[:, 24:])
    scales_before, scales_after = (np.ascontiguousarray(part[:, 12:24]).view("<f4") for part in (before, after))
    np.testing.assert_allclose(scales_after, scales_before, rtol=1e-5)  # through a float32 logarithm


def test_writing_rounds_colour_opacity_and_rotation_to_half_a_step(tmp_path: Path) -> None:
    scene = random_scene(500)
    write_splat(scene, tmp_path / "a.splat")
    found = read_splat(tmp_path / "a.splat")
    assert torch.equal(found.means, scene.means)
    assert (found.opacities - scene.opacities).abs().max() <= 0.5 / 255 + 1e-6
    shown = [(0.5 + 0.28209479177387814 * sh[:, 0]).clamp(0, 1) for sh in (found.sh, scene.sh)]
    assert (shown[0] - shown[1]).abs().max() <= 0.5 / 255 + 1e-6
    # each component is off by at most 1/128 (at 1.0, which 255 cannot reach), a matrix entry by about 4/128
    assert (quats_to_matrices(found.quats) - quats_to_matrices(scene.quats)).abs().max() < 4 / 128


def test_dropped_sh_bands_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        write_splat(random_scene(2, sh_degree=2), tmp_path / "a.splat")
    assert "SH bands 1-2 are dropped" in caplog.text


@pytest.mark.parametrize("size", [0, 31, 33, 95])
def test_a_size_that_is_no_multiple_of_32_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.splat").write_bytes(bytes(size))
    with pytest.raises(SplatFileError, match=f"multiple of 32 bytes.*found {size}"):
        read_splat(tmp_path / "a.splat")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SplatFileError, match=r"nowhere\.splat"):
        read_splat(tmp_path / "nowhere.splat")
