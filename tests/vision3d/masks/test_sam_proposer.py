"""SAM and SAM 2 of their true architectures, with weights the tests write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.masks.catalogue import load_proposer
from vision3d.masks.everything import EverythingSettings
from vision3d.masks.mask_nms import MaskNmsSettings
from vision3d.masks.mask_proposer import MaskProposer
from vision3d.masks.sam_door import SamLook, load_sam
from vision3d.masks.sam_proposer import Sam2Proposer, SamProposer

ANY_MASK = EverythingSettings(
    points_per_side=2, crop_layers=0, predicted_iou=-100.0, stability=0.0, minimum_region=0,
    nms=MaskNmsSettings(score=-100.0),
)  # fmt: skip
"""Random weights believe in nothing: keep what they draw."""


@pytest.fixture(scope="module")
def sam_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ViT-B of the true size with random weights, the way the published files are written."""
    registry = pytest.importorskip("segment_anything").sam_model_registry
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("sam") / "weights.pth"
    torch.save(registry["vit_b"]().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def sam2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    backbone = {
        "hidden_size": 16, "blocks_per_stage": [1, 2, 2, 1], "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8], "global_attention_blocks": [4], "image_size": [256, 256],
        "window_positional_embedding_background_size": [7, 7],
    }  # fmt: skip
    config = transformers.Sam2Config(
        vision_config={
            "backbone_config": {"model_type": "sam2_hiera_det_model", **backbone},
            "backbone_channel_list": [128, 64, 32, 16],
            "backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 256},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 4, "iou_head_hidden_dim": 32},
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("sam2")
    transformers.Sam2Model(config).save_pretrained(folder)
    return folder


def photo(width: int = 96, height: int = 64) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    image[10:40, 20:60] = (200, 30, 30)
    return image


def test_sam_of_the_true_size_makes_label_maps(sam_checkpoint: Path) -> None:
    proposer = SamProposer(sam_checkpoint, ANY_MASK)
    labels = proposer.propose(photo())
    assert isinstance(proposer, MaskProposer)
    assert labels.shape == (3, 64, 96)
    assert labels.dtype == np.int16
    assert (labels >= 0).any()


def test_points_are_asked_where_they_lie(sam_checkpoint: Path) -> None:
    """The same prompt through segment_anything's own predictor gives the same masks."""
    look, place = SamLook(load_sam(sam_checkpoint)), np.array([[70.0, 20.0]])
    with torch.inference_mode():
        logits, believed = look(photo())(place)
        masks, scores, _ = look.predictor.predict(place, np.array([1]), multimask_output=True)
    np.testing.assert_array_equal((logits[0] > 0).numpy(), masks)
    np.testing.assert_allclose(believed[0].numpy(), scores, rtol=1e-5)


def test_a_file_of_safetensors_is_the_same_model(sam_checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(sam_checkpoint, weights_only=True)
    save_file(state, tmp_path / "sam.safetensors")
    again = load_sam(tmp_path / "sam.safetensors").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in state.items())


def test_the_id_tells_weights_and_settings_apart(sam2_folder: Path, tmp_path: Path) -> None:
    one = Sam2Proposer(sam2_folder, ANY_MASK)
    other = Sam2Proposer(sam2_folder, EverythingSettings())
    assert one.proposer_id == Sam2Proposer(sam2_folder, ANY_MASK).proposer_id
    assert one.proposer_id != other.proposer_id


def test_sam2_makes_label_maps_of_the_photos_size(sam2_folder: Path) -> None:
    proposer = Sam2Proposer(sam2_folder, ANY_MASK)
    for image in (photo(), photo(64, 96)):
        labels = proposer.propose(image)
        assert labels.shape == (3, *image.shape[:2])
        assert (labels >= 0).any()


def test_sam2_gives_the_masks_of_its_own_processor(sam2_folder: Path) -> None:
    from transformers import Sam2ImageProcessor, Sam2Model, Sam2Processor

    from vision3d.masks.sam2_door import Sam2Look, load_sam2

    image, model = photo(), load_sam2(sam2_folder)
    processor = Sam2Processor(
        Sam2ImageProcessor(size={"height": 256, "width": 256}), target_size=256, point_pad_value=-10
    )
    inputs = processor(images=image, input_points=[[[[70.0, 20.0]]]], input_labels=[[[1]]], return_tensors="pt")
    with torch.inference_mode():
        theirs = Sam2Model.from_pretrained(sam2_folder).eval()(**inputs, multimask_output=True)
        logits, believed = Sam2Look(model)(image)(np.array([[70.0, 20.0]]))
    masks = processor.post_process_masks(theirs.pred_masks, inputs["original_sizes"], binarize=False)[0][0]
    assert float((logits[0] - masks).abs().max()) < 0.05 * float(
        masks.abs().max()
    )  # they round the resized photo to whole values
    torch.testing.assert_close(believed[0], theirs.iou_scores[0, 0], rtol=0.01, atol=1e-3)


def test_wrong_checkpoints_are_refused(tmp_path: Path, sam2_folder: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        SamProposer(tmp_path / "nothing.pth")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelFileError, match="image_encoder"):
        SamProposer(tmp_path / "other.pth")
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, tmp_path / "part.pth")
    with pytest.raises(ModelFileError, match="all tensors of SAM vit_b"):
        SamProposer(tmp_path / "part.pth")
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 320)}, tmp_path / "mobile.pth")
    with pytest.raises(ModelFileError, match="width 320"):
        SamProposer(tmp_path / "mobile.pth")
    with pytest.raises(ModelFileError, match=r"config\.json"):
        Sam2Proposer(tmp_path)


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match="sam2"):
        Sam2Proposer(tmp_path)


def test_the_catalogue_asks_for_weights(sam2_folder: Path) -> None:
    with pytest.raises(ModelFileError, match="sam=sam_vit_b"):
        load_proposer("sam")
    with pytest.raises(ModelFileError, match="sam2="):
        load_proposer("sam2")
    assert load_proposer(f"sam2={sam2_folder}").level_names == ("s", "m", "l")
    with pytest.raises(InvalidInputError, match="sam2"):
        load_proposer("sam3")
