"""Conversion of InternVL's own layout: the converted model computes what the original computes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from tests.vlm_bridge.backbone.conversion.original_internvl import (
    SPECIAL,
    VOCABULARY,
    OriginalInternVL,
    OriginalSettings,
    write_original,
    write_weights,
)
from vlm_bridge.backbone.conversion.convert import convert_checkpoint
from vlm_bridge.backbone.load import load_backbone
from vlm_bridge.file_hashes import file_sha256
from vlm_bridge.prompts.conversation import ask

PUBLISHED = {
    "6B with Qwen2.5 (InternVL3-38B, Skywork-R1V3)": OriginalSettings(),
    "300M with Qwen2.5 (InternVL3-8B)": OriginalSettings(qk_norm=False, qkv_bias=True, rms_norm=False),
    "300M with Qwen3 (InternVL3.5-8B)": OriginalSettings(
        language="qwen3", qk_norm=False, qkv_bias=True, rms_norm=False
    ),
    "6B with Llama": OriginalSettings(language="llama"),
    "an earlier layer": OriginalSettings(select_layer=-2),
}


def _original(settings: OriginalSettings) -> OriginalInternVL:
    torch.manual_seed(0)
    return OriginalInternVL(settings).eval()


def _prompt(tokens: int) -> torch.Tensor:
    word = VOCABULARY["<IMG_CONTEXT>"]
    words = [VOCABULARY[text] for text in ("<|im_start|>", "t", "<img>")]
    return torch.tensor([[*words, *[word] * tokens, VOCABULARY["</img>"], 5, 6, 7, VOCABULARY["<|im_end|>"]]])


@pytest.mark.parametrize("settings", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_logits_are_the_originals(settings: OriginalSettings, tmp_path: Path) -> None:
    original = _original(settings)
    convert_checkpoint(write_original(original, tmp_path / "source"), tmp_path / "target")
    converted = AutoModelForImageTextToText.from_pretrained(tmp_path / "target").eval()
    pixels = torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        visual = original.visual_tokens(pixels)
        seen = converted.get_image_features(pixel_values=pixels).pooler_output
        expected = original(_prompt(8), pixels)
        found = converted(input_ids=_prompt(8), pixel_values=pixels).logits
        blind = original(_prompt(8), torch.zeros_like(pixels))
    torch.testing.assert_close(seen, visual, atol=1e-5, rtol=0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    # The comparison sees the pictures: without them the logits differ by far more than the tolerance.
    assert float((blind - expected).abs().max()) > 1e-3


def test_the_folder_is_a_backbone_and_a_model_of_transformers(tmp_path: Path) -> None:
    source = write_original(_original(OriginalSettings()), tmp_path / "source")
    report = convert_checkpoint(source, tmp_path / "target")
    backbone = load_backbone(tmp_path / "target", device="cpu")
    # As config.json of the original says.
    assert (backbone.tiling.tile_size, backbone.tiling.max_tiles) == (56, 6)
    for text in SPECIAL:
        assert backbone.tokenizer.convert_tokens_to_ids(text) == VOCABULARY[text]
    assert len(backbone.tokenizer) == len(VOCABULARY), "no token was added"
    config = backbone.model.config
    assert config.image_token_id == VOCABULARY["<IMG_CONTEXT>"]
    # The original ended texts with <|endoftext|>; an answer ends with its turn.
    assert config.text_config.eos_token_id == VOCABULARY["<|im_end|>"]
    assert backbone.model.generation_config.eos_token_id == VOCABULARY["<|im_end|>"]
    assert config.tie_word_embeddings is False
    assert config.text_config.rope_parameters["rope_theta"] == 5000.0
    assert config.image_seq_length == 4
    batch = backbone.encode([ask("the thing")], to_answer=True)
    assert backbone.generate(batch, max_new_tokens=2, do_sample=False).shape == (1, 2)
    said = [{"role": "user", "content": [{"type": "text", "text": "the thing"}]}]
    processor = AutoProcessor.from_pretrained(tmp_path / "target")
    theirs = processor.apply_chat_template(said, tokenize=True, add_generation_prompt=True, return_dict=True)
    assert batch.ids.tolist() == theirs["input_ids"]
    _check_report(report, tmp_path / "target")


def _check_report(report, target: Path) -> None:
    written = {path.name: path for path in target.iterdir()}
    assert report.files.keys() == written.keys()
    for name, file in report.files.items():
        assert (file.sha256, file.bytes) == (file_sha256(written[name]), written[name].stat().st_size)
    assert report.bytes == sum(path.stat().st_size for path in written.values())
    assert report.target == target


def test_weights_keep_their_files_with_an_index(tmp_path: Path) -> None:
    original = _original(OriginalSettings())
    report = convert_checkpoint(write_original(original, tmp_path / "source", shards=4), tmp_path / "target")
    index = json.loads((tmp_path / "target" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {f"model-0000{number}-of-00004.safetensors" for number in range(1, 5)}
    assert len(index["weight_map"]) == report.tensors
    # Every number of the original, none twice: float32 is 4 bytes.
    assert report.parameters == sum(value.numel() for value in original.state_dict().values())
    assert index["metadata"]["total_size"] == 4 * report.parameters
    single = convert_checkpoint(write_original(original, tmp_path / "one", shards=1), tmp_path / "target_of_one")
    assert "model.safetensors" in single.files
    assert "model.safetensors.index.json" not in single.files


def test_another_precision(tmp_path: Path) -> None:
    original = _original(OriginalSettings())
    source = write_original(original, tmp_path / "source")
    convert_checkpoint(source, tmp_path / "target", dtype=torch.bfloat16)
    model = load_backbone(tmp_path / "target", device="cpu", dtype=torch.bfloat16).model
    stored = load_file(next((tmp_path / "target").glob("*.safetensors")))
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    weight = original.vision_model.encoder.layers[1].attn.qkv.weight
    key = model.model.vision_tower.encoder.layer[1].attention.k_proj.weight
    assert torch.equal(key, weight[16:32].bfloat16())


def test_a_checkpoint_without_head_is_tied(tmp_path: Path) -> None:
    original = _original(OriginalSettings())
    source = write_original(original, tmp_path / "source", shards=1)
    original.language_model.lm_head.weight = original.language_model.model.embed_tokens.weight
    tensors = original.state_dict()
    del tensors["language_model.lm_head.weight"]
    write_weights(tensors, source, 1)
    config = json.loads((source / "config.json").read_text())
    config["llm_config"]["tie_word_embeddings"] = True
    (source / "config.json").write_text(json.dumps(config))
    convert_checkpoint(source, tmp_path / "target")
    model = load_backbone(tmp_path / "target", device="cpu").model
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    pixels = torch.randn(1, 3, 56, 56)
    with torch.no_grad():
        expected = original(_prompt(4), pixels)
        torch.testing.assert_close(model(input_ids=_prompt(4), pixel_values=pixels).logits, expected, atol=1e-5, rtol=0)


def test_frequencies_that_old_checkpoints_hold_are_left_out(tmp_path: Path) -> None:
    original = _original(OriginalSettings())
    source = write_original(original, tmp_path / "source")
    computed = {"language_model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    write_weights(original.state_dict() | computed, source, 3)
    report = convert_checkpoint(source, tmp_path / "target")
    assert report.parameters == sum(value.numel() for value in original.state_dict().values())
