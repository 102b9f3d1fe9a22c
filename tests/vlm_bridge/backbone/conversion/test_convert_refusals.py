"""What cannot be converted is refused with its name, and nothing is left that looks like a model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.vlm_bridge.backbone.conversion.original_internvl import OriginalInternVL, OriginalSettings, write_original
from vlm_bridge.backbone.conversion import convert
from vlm_bridge.backbone.conversion.convert import convert_checkpoint
from vlm_bridge.errors import BackboneError, InvalidInputError

INDEX = "model.safetensors.index.json"
FIRST = "model-00001-of-00003.safetensors"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_original(OriginalInternVL(OriginalSettings()), tmp_path / "source")


def _change_config(source: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = json.loads((source / "config.json").read_text())
    change(config)
    (source / "config.json").write_text(json.dumps(config))


def _change_first_file(source: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Change tensors of the first file, and the index with them."""
    tensors = load_file(source / FIRST)
    before = set(tensors)
    change(tensors)
    save_file(tensors, source / FIRST)
    index = json.loads((source / "model.safetensors.index.json").read_text())
    places = {name: file for name, file in index["weight_map"].items() if name not in before}
    index["weight_map"] = places | dict.fromkeys(tensors, FIRST)
    (source / "model.safetensors.index.json").write_text(json.dumps(index))


def _refusal(source: Path) -> str:
    target = source.parent / "target"
    with pytest.raises(BackboneError) as refusal:
        convert_checkpoint(source, target)
    assert [path.name for path in source.parent.iterdir()] == [source.name], "nothing is left over"
    return str(refusal.value)


def test_unknown_tensors_are_named(source: Path) -> None:
    _change_first_file(source, lambda tensors: tensors.update({"language_model.base.lora_A.weight": torch.ones(2, 2)}))
    assert "language_model.base.lora_A.weight" in _refusal(source)


def test_tensors_that_the_configuration_has_not_got_are_named(source: Path) -> None:
    surplus = "vision_model.encoder.layers.7.attn.qkv.weight"
    _change_first_file(source, lambda tensors: tensors.update({surplus: torch.ones(48, 16)}))
    assert surplus in _refusal(source)


@pytest.mark.parametrize("name", ["vision_model.encoder.layers.0.attn.qkv.weight", "vision_model.encoder.layers.1.ls2"])
def test_missing_tensors_are_named_as_the_original_calls_them(source: Path, name: str) -> None:
    _change_first_file(source, lambda tensors: tensors.pop(name))
    message = _refusal(source)
    assert f"found none called {name}. " in message


def test_other_shapes_are_named(source: Path) -> None:
    _change_first_file(
        source, lambda tensors: tensors.update({"vision_model.encoder.layers.0.attn.qkv.weight": torch.ones(45, 16)})
    )
    message = _refusal(source)
    assert "vision_model.encoder.layers.0.attn.qkv.weight: (15, 16) instead of (16, 16)" in message


def test_packed_rows_that_are_no_three_blocks(source: Path) -> None:
    _change_first_file(
        source, lambda tensors: tensors.update({"vision_model.encoder.layers.0.attn.qkv.weight": torch.ones(47, 16)})
    )
    assert "3 equal blocks of rows, found shape (47, 16)" in _refusal(source)


def test_quantised_weights(source: Path) -> None:
    quantised = torch.ones(48, 16, dtype=torch.int8)
    _change_first_file(
        source, lambda tensors: tensors.update({"vision_model.encoder.layers.0.attn.qkv.weight": quantised})
    )
    assert "in I8" in _refusal(source)


CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "the older pixel shuffle": (lambda config: config.update(ps_version="v1"), "'v2'"),
    "no word on the pixel shuffle, which meant the older": (lambda config: config.pop("ps_version"), "'v1'"),
    "pictures of another size": (lambda config: config.update(force_image_size=448), "force_image_size"),
    "no thumbnail": (lambda config: config.update(use_thumbnail=False), "use_thumbnail"),
    "no count of tiles": (lambda config: config.update(max_dynamic_patch=0), "max_tiles"),
    "another language model": (lambda config: config["llm_config"].update(model_type="internlm2"), "internlm2"),
    "no language model": (lambda config: config.pop("llm_config"), "llm_config"),
    "another norm": (lambda config: config["vision_config"].update(norm_type="group_norm"), "group_norm"),
    "another epsilon": (lambda config: config["vision_config"].update(layer_norm_eps=1e-5), "layer_norm_eps"),
    "no width": (lambda config: config["vision_config"].pop("hidden_size"), "hidden_size"),
    "a width that is no number": (lambda config: config["vision_config"].update(hidden_size="16"), "'16'"),
    "odd patches": (lambda config: config["vision_config"].update(patch_size=8, image_size=56), "patches of 8"),
    "widths of another checkpoint": (lambda config: config["llm_config"].update(intermediate_size=65), "gate_proj"),
    "a text that is no number": (lambda config: config["llm_config"].update(hidden_size="32"), "llm_config of qwen2"),
    "another type": (lambda config: config.update(model_type="llava"), "llava"),
    "one that is converted": (lambda config: config.update(model_type="internvl"), "load it"),
}


@pytest.mark.parametrize(("change", "said"), CONFIGS.values(), ids=CONFIGS.keys())
def test_configurations_that_are_refused(source: Path, change: Callable[[dict[str, Any]], Any], said: str) -> None:
    _change_config(source, change)
    assert said in _refusal(source)


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "config.json"),
    "a configuration that is no JSON": (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
    "a list for a configuration": (lambda folder: (folder / "config.json").write_text("[]"), "list"),
    "a file of weights is missing": (lambda folder: (folder / FIRST).unlink(), FIRST),
    "a file of weights is cut": (lambda folder: os.truncate(folder / FIRST, 900), FIRST),
    "the index is wrong": (
        lambda folder: shutil.move(folder / FIRST, folder / "model-00002-of-00003.safetensors"), FIRST
    ),
    "the index leads elsewhere": (
        lambda folder: (folder / INDEX).write_text('{"weight_map": {"a": "../b.safetensors"}}'),
        "../b.safetensors",
    ),
    "the index is empty": (
        lambda folder: (folder / "model.safetensors.index.json").write_text("{}"), "weight_map"
    ),
    "no words": (lambda folder: (folder / "vocab.json").unlink(), "tokenizer"),
    "added tokens elsewhere": (
        lambda folder: (folder / "added_tokens.json").write_text('{"<img>": 7}'), "'<img>' to be token 7"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), FILES.values(), ids=FILES.keys())
def test_damaged_files_are_named(source: Path, change: Callable[[Path], Any], said: str) -> None:
    change(source)
    assert said in _refusal(source)


def test_pickled_weights_are_not_read(source: Path) -> None:
    for path in source.glob("model*.safetensors*"):
        path.unlink()
    (source / "pytorch_model.bin").write_bytes(b"never read")
    message = _refusal(source)
    assert "pytorch_model.bin" in message
    assert "can run code" in message


def test_a_full_disk_is_noticed_before_weights_are_written(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(10**12, 10**12, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    monkeypatch.setattr(convert, "save_file", lambda *_, **__: pytest.fail("weights were written"))
    assert "GB of free disk" in _refusal(source)


def test_an_interrupted_conversion_leaves_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def second_fails(*arguments: Any, **options: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save_file(*arguments, **options)

    monkeypatch.setattr(convert, "save_file", second_fails)
    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(source, source.parent / "target")
    assert [path.name for path in source.parent.iterdir()] == ["source"]


def test_a_folder_that_holds_something_is_kept(source: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine.txt").write_text("keep")
    with pytest.raises(InvalidInputError, match="new or empty"):
        convert_checkpoint(source, tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["mine.txt"]


def test_whole_numbers_are_no_precision(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="floating point"):
        convert_checkpoint(source, tmp_path / "target", dtype=torch.int8)
