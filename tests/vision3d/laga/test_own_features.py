"""Vectors beside LangSplat's masks: each mask gets the row of its number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vision3d.language.small_models import DIM, written_model
from vision3d.errors import InvalidInputError
from vision3d.laga.own_features import read_own_features
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vision3d.masks.own_masks import read_own_masks


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ImageTextEncoder:
    return load_encoder(str(written_model(tmp_path_factory.mktemp("model"))))


def written(folder: Path, dim: int, rows: int = 5) -> np.ndarray:
    """Numbers 0-1 on the default level, 2-3 on s, 4 on l; the vector of a mask is of length 2."""
    maps = np.full((4, 6, 9), -1.0, np.float32)
    maps[0, :3], maps[0, 3:], maps[1, :2], maps[1, 4:], maps[3] = 0, 1, 2, 3, 4
    np.save(folder / "a_s.npy", maps)
    vectors = 2 * np.eye(max(rows, dim), dim)[:rows].astype(np.float16)
    np.save(folder / "a_f.npy", vectors)
    return vectors


def test_masks_find_their_vectors(tmp_path: Path, encoder: ImageTextEncoder) -> None:
    written(tmp_path, DIM)
    masks = read_own_masks(tmp_path, ["a.jpg"], (9, 6))
    features = read_own_features(tmp_path, ["a.jpg"], (9, 6), encoder)
    assert features.encoder_id == encoder.encoder_id
    assert torch.stack([features.view, features.level, features.number], 1).tolist() == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 2, 0],
    ]
    assert features.vectors.argmax(1).tolist() == [2, 3, 4]
    assert features.vectors.norm(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert masks.labels[0, 0, 5, 0] == 1  # the mask that was number 3 in the file


def test_other_dimensions_and_missing_vectors_are_refused(tmp_path: Path, encoder: ImageTextEncoder) -> None:
    written(tmp_path, DIM + 1)
    with pytest.raises(InvalidInputError, match="Load the encoder"):
        read_own_features(tmp_path, ["a.jpg"], (9, 6), encoder)
    written(tmp_path, DIM, rows=4)
    with pytest.raises(InvalidInputError, match="a vector for mask 4"):
        read_own_features(tmp_path, ["a.jpg"], (9, 6), encoder)
    (tmp_path / "a_f.npy").unlink()
    with pytest.raises(InvalidInputError, match="array of vectors"):
        read_own_features(tmp_path, ["a.jpg"], (9, 6), encoder)
