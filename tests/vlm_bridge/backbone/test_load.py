"""`load_backbone` and `save_backbone`: there and back, and an error that helps for everything else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.backbone import load
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import load_backbone, save_backbone
from vlm_bridge.errors import BackboneError, InvalidInputError, MissingExtraError, VlmBridgeError
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.conversation import ask

TILING = TilingConfig(tile_size=28, max_tiles=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_backbone(InternVLBackbone(tiny_internvl(), tiny_tokenizer(), TILING), tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("tied", [False, True])
def test_weights_come_back_bit_for_bit(tied: bool, tmp_path: Path) -> None:
    model = tiny_internvl(tied=tied)
    save_backbone(InternVLBackbone(model, tiny_tokenizer(), TILING), tmp_path / "saved")
    loaded = load_backbone(tmp_path / "saved")
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert loaded.tiling == TILING
    assert (loaded.model.lm_head.weight is loaded.model.get_input_embeddings().weight) == tied
    assert not loaded.model.training
    again = AutoModelForImageTextToText.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.lm_head.weight, model.lm_head.weight)


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_half_precision_is_kept_where_the_cpu_has_it(
    native: bool, expected: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_internvl().bfloat16()
    save_backbone(InternVLBackbone(model, tiny_tokenizer(), TILING), tmp_path / "half")
    monkeypatch.setattr(load, "cpu_has_bfloat16", lambda: native)
    loaded = load_backbone(tmp_path / "half", device="cpu").model
    assert loaded.dtype == expected
    assert torch.equal(loaded.lm_head.weight.bfloat16(), model.lm_head.weight)
    assert load_backbone(tmp_path / "half", device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16


def test_transformers_finds_a_processor_in_the_folder(saved: Path) -> None:
    processor = AutoProcessor.from_pretrained(saved)
    assert processor.image_seq_length == 1
    assert processor.image_token == "<IMG_CONTEXT>"
    assert processor.image_processor.max_patches == 3
    assert list(processor.image_processor.image_mean) == [0.5, 0.4, 0.3]
    said = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "So?"}]}]
    text = processor.apply_chat_template(said, add_generation_prompt=True)
    assert text == ("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nSo?<|im_end|>\n<|im_start|>assistant\n")


def test_settings_inside_those_of_a_processor_are_found(saved: Path) -> None:
    AutoProcessor.from_pretrained(saved).save_pretrained(saved / "again")
    for name in ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"):
        (saved / name).unlink()
    (saved / "again" / "processor_config.json").rename(saved / "processor_config.json")
    assert load_backbone(saved).tiling == TILING


def test_precision(saved: Path) -> None:
    assert load_backbone(saved, dtype="bfloat16").model.dtype == torch.bfloat16
    assert load_backbone(saved, dtype=torch.float16).model.dtype == torch.float16
    assert load_backbone(saved).model.dtype == torch.float32, "as stored"
    for wrong in ("float31", "int8", "nn"):
        with pytest.raises(InvalidInputError, match="dtype"):
            load_backbone(saved, dtype=wrong)


def test_tokens_of_grounded_answers_are_added_with_mean_rows(saved: Path) -> None:
    plain, grounded = load_backbone(saved), load_backbone(saved, grounding=True)
    assert "[SEG]" not in plain.tokenizer.get_vocab()
    number = grounded.tokenizer.convert_tokens_to_ids("[SEG]")
    assert [grounded.tokenizer.convert_tokens_to_ids(text) for text in ("<p>", "</p>")] == [number + 1, number + 2]
    rows = plain.model.get_input_embeddings().weight
    grown = grounded.model.get_input_embeddings().weight
    assert torch.equal(grown[: len(rows)], rows)
    torch.testing.assert_close(grown[number], rows.mean(0))
    save_backbone(grounded, saved / "grounded")
    again = load_backbone(saved / "grounded", grounding=True)
    assert len(again.tokenizer) == len(grounded.tokenizer)
    assert torch.equal(again.model.get_input_embeddings().weight, grown)


def test_a_folder_is_overwritten_only_when_asked(saved: Path) -> None:
    backbone = InternVLBackbone(tiny_internvl(seed=1), tiny_tokenizer(), TILING)
    with pytest.raises(InvalidInputError, match="new or empty"):
        save_backbone(backbone, saved)
    save_backbone(backbone, saved, overwrite=True)
    assert torch.equal(load_backbone(saved).model.lm_head.weight, backbone.model.lm_head.weight)
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_a_wrapped_model_is_not_saved(tmp_path: Path) -> None:
    backbone = InternVLBackbone(torch.nn.Sequential(tiny_internvl()), tiny_tokenizer(), TILING)
    with pytest.raises(BackboneError, match="Merge its adapters"):
        save_backbone(backbone, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def _change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _drop_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["multi_modal_projector.linear_1.bias"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "an original checkpoint": (
        lambda folder: _change_json(folder / "config.json", model_type="skywork_chat"), "vlm-bridge convert"
    ),
    "an older original": (
        lambda folder: _change_json(folder / "config.json", model_type="internvl_chat"), "vlm-bridge convert"
    ),
    "another model": (lambda folder: _change_json(folder / "config.json", model_type="llava"), "'llava'"),
    "another language model": (
        lambda folder: _change_json(folder / "config.json", text_config={"model_type": "gpt_oss"}), "'gpt_oss'"
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
    "pickled weights": (_pickle, "can run code"),
    "a file of the index is missing": (_index, "model-00001-of-00002.safetensors"),
    "cut weights": (lambda folder: os.truncate(folder / "model.safetensors", 90_000), "fit its config.json"),
    "a tensor is missing": (_drop_tensor, "multi_modal_projector.linear_1.bias"),
    "no image settings": (
        lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config.json"
    ),
    "no tokenizer": (
        lambda folder: [path.unlink() for path in folder.glob("tokenizer*")], "Tokenizer: expected the special token"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_folders(saved: Path, damage: Callable[[Path], Any], said: str) -> None:
    damage(saved)
    with pytest.raises(BackboneError) as refusal:
        load_backbone(saved)
    assert said in str(refusal.value)
    assert str(saved) in str(refusal.value)


def test_unpickling_is_never_tried(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pickle(saved)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(BackboneError):
        load_backbone(saved)


@pytest.mark.parametrize("name", ["no/such/folder", "not a name", "", "OpenGVLab/NoSuchModel", "InternVL3-1B"])
def test_names_that_lead_nowhere(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackboneError, match="expected"):
        load_backbone(name)


def test_a_device_that_is_not_there(saved: Path) -> None:
    missing = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(BackboneError, match="CUDA device"):
        load_backbone(saved, device=missing)
    with pytest.raises(InvalidInputError, match="'gpu'"):
        load_backbone(saved, device="gpu")
    with pytest.raises(InvalidInputError, match="found both"):
        load_backbone(saved, device="cpu", device_map="auto")


def test_a_device_map_places_the_model(saved: Path) -> None:
    backbone = load_backbone(saved, device_map={"": "cpu"})
    batch = backbone.encode([ask("so?")], to_answer=True)
    assert torch.equal(backbone.forward(batch).logits, load_backbone(saved).forward(batch).logits)


def _without_package(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    find = load.importlib.util.find_spec
    monkeypatch.setattr(load.importlib.util, "find_spec", lambda name: None if name == missing else find(name))


def test_quantising_needs_cuda_and_bitsandbytes(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for bits in ("8bit", "4bit"):
        with pytest.raises(BackboneError, match="expected a CUDA device"):
            load_backbone(saved, quantise=bits)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    _without_package(monkeypatch, "bitsandbytes")
    with pytest.raises(MissingExtraError, match="pip install bitsandbytes"):
        load_backbone(saved, quantise="4bit")


def test_a_device_map_needs_accelerate(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_package(monkeypatch, "accelerate")
    with pytest.raises(MissingExtraError, match=r"vision3d-medseg\[vlm\]"):
        load_backbone(saved, device_map="auto")
    assert load_backbone(saved, device="cpu").device.type == "cpu"


def test_every_error_is_one_of_ours(saved: Path) -> None:
    (saved / "config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(VlmBridgeError, match=r"config\.json"):
        load_backbone(saved)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_on_a_gpu_it_says_the_same(saved: Path, dtype: str) -> None:
    here, there = load_backbone(saved, device="cpu", dtype=dtype), load_backbone(saved, device="cuda", dtype=dtype)
    batch = here.encode([ask("so?"), ask("a longer one")], to_answer=True)
    tolerance = 1e-4 if dtype == "float32" else 2e-2
    found = there.forward(batch.to(there.device)).logits.cpu()
    torch.testing.assert_close(found, here.forward(batch).logits, atol=tolerance, rtol=0)
