"""SuperSplat's compressed PLY: bit fields worked out by hand, and refusals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from plyfile import PlyData, PlyElement

from vision3d.errors import SplatFileError
from vision3d.scene.ply import read_ply

BOUNDS = ["x", "y", "z", "scale_x", "scale_y", "scale_z"]
COLOUR_BOUNDS = ["r", "g", "b"]
WORDS = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]


def write_compressed(
    path: Path,
    words: np.ndarray,
    *,
    chunks: list[tuple[float, float]] | None = None,
    colour_bounds: tuple[float, float] | None = None,
    sh: np.ndarray | None = None,
    word_type: str = "u4",
) -> Path:
    """A compressed PLY: `words` [gaussian 4], every chunk spanning (low, high) on all axes."""
    spans = chunks or [(0.0, 1.0)]
    names = BOUNDS + (COLOUR_BOUNDS if colour_bounds else [])
    chunk = np.empty(len(spans), [(f"{end}_{name}", "f4") for end in ("min", "max") for name in names])
    for name in names:
        for row, span in enumerate(spans):
            low, high = colour_bounds if colour_bounds and name in COLOUR_BOUNDS else span
            chunk[f"min_{name}"][row], chunk[f"max_{name}"][row] = low, high
    vertex = np.empty(len(words), [(name, word_type) for name in WORDS])
    for column, name in enumerate(WORDS):
        vertex[name] = words[:, column]
    elements = [PlyElement.describe(chunk, "chunk"), PlyElement.describe(vertex, "vertex")]
    if sh is not None:
        rows = np.empty(len(sh), [(f"f_rest_{index}", "u1") for index in range(sh.shape[1])])
        for column in range(sh.shape[1]):
            rows[f"f_rest_{column}"] = sh[:, column]
        elements.append(PlyElement.describe(rows, "sh"))
    PlyData(elements, byte_order="<").write(str(path))
    return path


def one_word(
    position: int = 0, rotation: int = 512 << 20 | 512 << 10 | 512, scale: int = 0, colour: int = 0
) -> np.ndarray:
    return np.array([[position, rotation, scale, colour]], "u4")


def test_positions_and_scales_are_11_10_11_bits_between_the_bounds(tmp_path: Path) -> None:
    # x: all 11 bits set = the maximum; y: 512 of 1023; z: 1 of 2047
    word = 2047 << 21 | 512 << 11 | 1
    scene = read_ply(write_compressed(tmp_path / "a.ply", one_word(position=word, scale=word), chunks=[(-1.0, 3.0)]))
    expected = torch.tensor([[3.0, -1 + 4 * 512 / 1023, -1 + 4 / 2047]])
    torch.testing.assert_close(scene.means, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(scene.log_scales, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("largest", [0, 1, 2, 3])
def test_rotations_rebuild_the_largest_component_where_the_top_bits_say(tmp_path: Path, largest: int) -> None:
    # a code of ten bits stands for (code / 1023 - 0.5) sqrt(2)
    codes = [100, 511, 767]
    small = [(code / 1023 - 0.5) * math.sqrt(2) for code in codes]
    expected = list(small)
    expected.insert(largest, math.sqrt(1 - sum(value * value for value in small)))
    word = largest << 30 | codes[0] << 20 | codes[1] << 10 | codes[2]
    scene = read_ply(write_compressed(tmp_path / "a.ply", one_word(rotation=word)))
    torch.testing.assert_close(scene.quats, torch.tensor([expected]))


def test_colour_and_opacity_are_bytes(tmp_path: Path) -> None:
    scene = read_ply(write_compressed(tmp_path / "a.ply", one_word(colour=255 << 24 | 0 << 16 | 51 << 8 | 204)))
    # colour 1, 0 and 0.2 with colour = 0.5 + 0.28209479 dc; opacity 204 / 255 = 0.8
    expected = (torch.tensor([1.0, 0.0, 0.2]) - 0.5) / 0.28209479177387814
    torch.testing.assert_close(scene.sh[0, 0], expected)
    torch.testing.assert_close(scene.opacities, torch.tensor([0.8]))


def test_newer_files_state_colour_bounds(tmp_path: Path) -> None:
    path = write_compressed(tmp_path / "a.ply", one_word(colour=255 << 24 | 51 << 8), colour_bounds=(-0.5, 2.0))
    expected = (torch.tensor([2.0, -0.5, 0.0]) - 0.5) / 0.28209479177387814  # 51/255 = 0.2 of the way from -0.5 to 2
    torch.testing.assert_close(read_ply(path).sh[0, 0], expected)


def test_opacity_bytes_0_and_255_become_finite_logits(tmp_path: Path) -> None:
    words = np.concatenate([one_word(colour=0), one_word(colour=255)])
    # the middle of what rounds to 255 is 254.75 / 255, its logit ln(254.75 / 0.25) = 6.9266
    logits = read_ply(write_compressed(tmp_path / "a.ply", words)).opacity_logits
    torch.testing.assert_close(logits, torch.tensor([-6.9266, 6.9266]), rtol=1e-4, atol=0)


def test_each_chunk_of_256_uses_its_own_bounds(tmp_path: Path) -> None:
    words = np.repeat(one_word(position=2047 << 21), 257, axis=0)
    scene = read_ply(write_compressed(tmp_path / "a.ply", words, chunks=[(0.0, 1.0), (0.0, 5.0)]))
    assert scene.means[255, 0] == 1.0
    assert scene.means[256, 0] == 5.0


def test_sh_bytes_span_minus_4_to_4_channel_by_channel(tmp_path: Path) -> None:
    sh = np.array([[0, 255, 127, 128, 1, 254, 64, 192, 100]], "u1")
    scene = read_ply(write_compressed(tmp_path / "a.ply", one_word(), sh=sh))
    assert scene.sh_degree == 1
    # 0 -> -4, 255 -> 4, others (byte + 0.5) / 256 of the way: 127 -> -0.015625, 128 -> 0.015625, ...
    expected = torch.tensor([[-4.0, 4.0, -0.015625], [0.015625, -3.953125, 3.953125], [-1.984375, 2.015625, -0.859375]])
    torch.testing.assert_close(scene.sh[0, 1:], expected.T)


def test_chunks_that_do_not_cover_the_gaussians_are_refused(tmp_path: Path) -> None:
    path = write_compressed(tmp_path / "a.ply", np.repeat(one_word(), 257, axis=0))
    with pytest.raises(SplatFileError, match="expected 2 chunks of 256 for 257 Gaussians, found 1"):
        read_ply(path)


def test_words_of_another_type_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SplatFileError, match="another type than uint"):
        read_ply(write_compressed(tmp_path / "a.ply", one_word(), word_type="f4"))


@pytest.mark.parametrize("shape", [(1, 10), (1, 72), (2, 9)])
def test_sh_rows_of_no_degree_or_another_count_are_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    with pytest.raises(SplatFileError, match="expected 1 SH rows"):
        read_ply(write_compressed(tmp_path / "a.ply", one_word(), sh=np.zeros(shape, "u1")))


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = write_compressed(tmp_path / "a.ply", np.repeat(one_word(), 10, axis=0), sh=np.zeros((10, 9), "u1"))
    whole = path.read_bytes()
    for missing in (1, 100, 200):  # inside sh, inside vertex (90 bytes of sh), inside chunk
        path.write_bytes(whole[:-missing])
        with pytest.raises(SplatFileError, match=f"expected at least .* found {len(whole) - missing}"):
            read_ply(path)
