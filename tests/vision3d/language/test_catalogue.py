"""Every form of an encoder's name, and what is said of a name that is none."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from tests.vision3d.language.small_models import random_model, small_config, written_model
from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.language import catalogue
from vision3d.language.catalogue import ENCODERS, load_encoder


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = written_model(tmp_path / "a=b" / "small")
    by_path = load_encoder(str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_encoder("~/a=b/small").encoder_id == by_path.encoder_id
    assert by_path.encoder_id.startswith("small/")


def test_an_architecture_and_a_file(tmp_path: Path):
    config = small_config()
    config["text_cfg"] |= {"vocab_size": 49408, "width": 16, "heads": 2}  # open_clip's own tokenizer
    (tmp_path / "small-of-the-test.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(tmp_path / "small-of-the-test.json")
    weights = tmp_path / "weights=final.safetensors"
    save_file(random_model(config).state_dict(), weights)
    encoder = load_encoder(f"small-of-the-test={weights}")
    assert encoder.encoder_id.startswith("small-of-the-test/")
    assert encoder.encode_texts(["a red mug"]).shape == (1, 16)
    with pytest.raises(ModelFileError, match=r"other\.safetensors: expected a checkpoint file"):
        load_encoder(f"small-of-the-test={tmp_path / 'other.safetensors'}")


def test_a_tag_whose_weights_were_never_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelFileError, match="hf download laion/CLIP-ViT-B-16-laion2B-s34B-b88K"):
        load_encoder("ViT-B-16/laion2b_s34b_b88k")


@pytest.mark.parametrize("name", ["", "ViT-B-16", "ViT-B-16/", "/laion2b", "ViT-B-16="])
def test_names_of_no_form_are_answered_with_the_forms(name: str):
    with pytest.raises(InvalidInputError) as caught:
        load_encoder(name)
    assert repr(name) in str(caught.value)
    for form in ENCODERS:
        assert form in str(caught.value)


def test_unknown_architectures_and_tags():
    with pytest.raises(InvalidInputError, match="found 'ViT-B-17'"):
        load_encoder("ViT-B-17=weights.pt")
    with pytest.raises(InvalidInputError, match="found 'laion3'"):
        load_encoder("ViT-B-16/laion3")


def test_an_embedded_model_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "EMBEDDED_MODEL", "clip_of_nobody")
    with pytest.raises(ModelFileError, match=r"clip_of_nobody.*MODEL=FILE"):
        load_encoder("embedded")


def test_the_device_is_handed_on(tmp_path: Path):
    folder = written_model(tmp_path / "small")
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        load_encoder(str(folder), device="abacus")
    assert load_encoder(str(folder), device=torch.device("cpu")).dim == 16
