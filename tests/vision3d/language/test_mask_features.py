"""Vectors of masks: their order, that batches change nothing, and files that were cut or are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.vision3d.language.small_models import DIM, SIZE, small_encoder
from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.language.crops import CropSettings, crop_masks, mask_boxes
from vision3d.language.mask_features import (
    MaskFeatures,
    encode_masks,
    encode_views,
    join_mask_features,
    load_mask_features,
    save_mask_features,
)
from vision3d.language.open_clip_encoder import OpenClipEncoder


def views(count: int, height: int = 24, width: int = 30) -> tuple[torch.Tensor, np.ndarray]:
    """Noise, and two levels of masks: three upright stripes over six tiles."""
    random = np.random.default_rng(count)
    images = torch.from_numpy(random.integers(0, 256, (count, height, width, 3), dtype=np.uint8))
    rows, columns = np.mgrid[:height, :width]
    stripes = columns * 3 // width
    labels = np.stack([stripes + 3 * (rows * 2 // height), stripes]).astype(np.int16)
    return images, np.stack([labels] * count)


def same(first: MaskFeatures, second: MaskFeatures) -> bool:
    names = ("vectors", "view", "level", "number")
    return first.encoder_id == second.encoder_id and all(
        torch.equal(getattr(first, name), getattr(second, name)) for name in names
    )


def test_masks_come_level_by_level_and_by_number(encoder: OpenClipEncoder):
    images, labels = views(1)
    labels[0, 0, 0, 0] = -1
    found = encode_masks(images[0], torch.from_numpy(labels[0]), encoder, view=7)
    assert found.level.tolist() == [0] * 6 + [1] * 3
    assert found.number.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert set(found.view.tolist()) == {7}
    assert found.encoder_id == encoder.encoder_id
    torch.testing.assert_close(found.vectors.norm(dim=-1), torch.ones(9))


def test_each_vector_is_the_one_of_its_own_crop(encoder: OpenClipEncoder):
    images, labels = views(1)
    found = encode_masks(images[0], torch.from_numpy(labels[0]), encoder)
    for vector, level, number in zip(found.vectors, found.level, found.number, strict=True):
        alone = torch.from_numpy(np.where(labels[0, level] == int(number), 0, -1))
        crop = crop_masks(images[0], alone, mask_boxes(alone), SIZE)
        torch.testing.assert_close(vector, encoder.encode_images(crop)[0], atol=1e-5, rtol=0)
    # The law above says something only where masks differ.
    assert (found.vectors @ found.vectors.T - torch.eye(9)).max() < 0.995


@pytest.mark.parametrize("batch_size", [1, 4])
def test_batches_change_nothing(encoder: OpenClipEncoder, batch_size: int):
    images, labels = views(2)
    found = encode_views(images, labels, encoder, CropSettings(batch_size=batch_size))
    whole = encode_views(images, labels, encoder)
    torch.testing.assert_close(found.vectors, whole.vectors, atol=1e-5, rtol=0)
    assert found.number.tolist() == whole.number.tolist()


def test_small_masks_and_empty_levels_are_left_out(encoder: OpenClipEncoder):
    images, labels = views(1)
    labels[0, 0][labels[0, 0] == 2] = -1
    labels[0, 1] = -1
    labels[0, 1, :2, :2] = 5  # four pixels
    found = encode_masks(images[0], torch.from_numpy(labels[0]), encoder, CropSettings(minimum_pixels=4))
    assert list(zip(found.level.tolist(), found.number.tolist(), strict=True))[-2:] == [(0, 5), (1, 5)]
    assert 2 not in found.number.tolist()
    fewer = encode_masks(images[0], torch.from_numpy(labels[0]), encoder, CropSettings(minimum_pixels=5))
    assert len(fewer) == len(found) - 1


def test_views_without_any_mask_have_no_vectors(encoder: OpenClipEncoder):
    images, labels = views(2)
    found = encode_views(images, np.full_like(labels, -1), encoder)
    assert found.vectors.shape == (0, DIM)
    assert same(found, join_mask_features([], encoder))


def test_maps_opened_read_only_from_a_file(encoder: OpenClipEncoder, tmp_path: Path):
    images, labels = views(3)
    np.save(tmp_path / "labels.npy", labels)
    mapped = np.load(tmp_path / "labels.npy", mmap_mode="r")
    found = encode_views(images, mapped, encoder)
    assert found.view.tolist() == [0] * 9 + [1] * 9 + [2] * 9
    parts = [encode_masks(images[row], torch.from_numpy(labels[row]), encoder, view=row) for row in range(3)]
    assert same(found, join_mask_features(parts, encoder))


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_missing_view_is_refused(encoder: OpenClipEncoder):
    images, labels = views(3)
    with pytest.raises(InvalidInputError, match="each of the 3 images, found 2"):
        encode_views(images, labels[:2], encoder)


@pytest.mark.usefixtures("unchecked_shapes")
def test_columns_of_different_length_are_refused(encoder: OpenClipEncoder):
    one = torch.zeros(1, dtype=torch.long)
    with pytest.raises(InvalidInputError, match=r"found lengths \[2, 1, 1, 1\]"):
        MaskFeatures(vectors=torch.eye(2), view=one, level=one, number=one, encoder_id=encoder.encoder_id)


def test_another_encoder_is_refused_by_name(encoder: OpenClipEncoder, tmp_path: Path):
    other = small_encoder(tmp_path / "small", seed=1)
    images, labels = views(1)
    found = encode_views(images, labels, encoder)
    save_mask_features(found, tmp_path / "masks.safetensors")
    for refused in (
        lambda: load_mask_features(tmp_path / "masks.safetensors", other),
        lambda: join_mask_features([found], other),
    ):
        with pytest.raises(InvalidInputError) as caught:
            refused()
        assert encoder.encoder_id in str(caught.value)
        assert other.encoder_id in str(caught.value)


def test_a_file_gives_back_what_was_saved(encoder: OpenClipEncoder, tmp_path: Path):
    images, labels = views(2)
    found = encode_views(images, labels, encoder)
    save_mask_features(found, tmp_path / "deep" / "masks.safetensors")
    again = load_mask_features(tmp_path / "deep" / "masks.safetensors", encoder)
    # Half precision keeps 11 bits of each of the numbers below 1.
    torch.testing.assert_close(again.vectors, found.vectors, atol=2**-11, rtol=0)
    torch.testing.assert_close(again.vectors.norm(dim=-1), torch.ones(len(found)))
    assert again.vectors.dtype == torch.float32
    for name in ("view", "level", "number"):
        assert torch.equal(getattr(again, name), getattr(found, name))
    save_mask_features(again, tmp_path / "second.safetensors")
    assert same(load_mask_features(tmp_path / "second.safetensors"), again)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["masks.safetensors"]


def test_cut_files_are_refused(encoder: OpenClipEncoder, tmp_path: Path):
    images, labels = views(1)
    save_mask_features(encode_views(images, labels, encoder), tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    cut = tmp_path / "cut.safetensors"
    for length in (0, 4, 8, 100, len(content) // 2, len(content) - 1):
        cut.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"cut\.safetensors: expected mask features, found"):
            load_mask_features(cut)


def test_files_of_something_else_are_refused(encoder: OpenClipEncoder, tmp_path: Path):
    images, labels = views(1)
    good = tmp_path / "good.safetensors"
    save_mask_features(encode_views(images, labels, encoder), good)
    tensors, path = load_file(good), tmp_path / "foreign.safetensors"
    facts = {"format": "vision3d mask features 1", "encoder_id": "x/1"}
    foreign = [
        ({"weight": torch.zeros(2)}, None),
        (tensors, {"format": "vision3d mask features 99", "encoder_id": "x/1"}),
        ({"vectors": tensors["vectors"]}, facts),
        (tensors, {"format": facts["format"]}),
    ]
    for content, metadata in foreign:
        save_file(content, path, metadata=metadata)
        with pytest.raises(ModelFileError, match=r"foreign\.safetensors: expected"):
            load_mask_features(path)
    path.write_text("no tensors at all", encoding="utf-8")
    with pytest.raises(ModelFileError, match="expected mask features"):
        load_mask_features(path)
    with pytest.raises(ModelFileError, match="expected mask features"):
        load_mask_features(tmp_path / "nowhere.safetensors")
