"""What open_clip offers, built from configurations alone; tokenizers of the hub from files of this machine."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch

from tests.vision3d.language.small_models import small_config
from vision3d.errors import InvalidInputError, MissingDependencyError, ModelFileError
from vision3d.language.checkpoint_files import ModelFiles
from vision3d.language.open_clip_door import build_model, known_config, published_weights, text_tokenizer


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ViT-B-32-quickgelu", open_clip.CLIP), ("RN50", open_clip.CLIP), ("coca_ViT-B-32", open_clip.CoCa)],
)
def test_each_kind_of_architecture_is_built_as_the_library_does(name: str, kind: type):
    with torch.device("meta"):
        ours, theirs = build_model(known_config(name)), open_clip.create_model(name, device="meta")
    assert type(ours) is type(theirs) is kind
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_a_text_tower_of_the_hub_is_built_from_a_configuration_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("transformers")
    config = small_config()
    config["text_cfg"] = {"hf_model_name": "some/roberta", "hf_tokenizer_name": "some/roberta", "hf_proj_type": "mlp"}
    config["text_cfg"] |= {"hf_pooler_type": "mean_pooler"}
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelFileError, match=r"config\.json of some/roberta.*hf download some/roberta"):
        build_model(config)
    snapshot = tmp_path / "models--some--roberta" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    tower = {"model_type": "roberta", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tower |= {"intermediate_size": 64, "vocab_size": 50, "max_position_embeddings": 40, "pad_token_id": 1}
    (snapshot / "config.json").write_text(json.dumps(tower), encoding="utf-8")
    model = build_model(config).eval()
    assert type(model) is open_clip.CustomTextCLIP
    with torch.no_grad():
        assert model.encode_text(torch.tensor([[5, 6, 7, 1, 1]])).shape == (1, 16)


def test_a_tokenizer_of_the_hub_is_read_from_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    files = ModelFiles(
        name="words",
        model_config={"text_cfg": {"context_length": 5, "hf_tokenizer_name": "some/words"}},
        preprocess={},
        weights=tmp_path / "none.safetensors",
    )
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelFileError, match="of some/words on this machine"):
        text_tokenizer(files)
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[PAD]": 0, "[UNK]": 1, "red": 2, "mug": 3}, "[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(tmp_path / "models--some--words" / "snapshots" / "0")
    assert text_tokenizer(files)(["red  mug", "blue mug mug mug mug mug"]).tolist() == [
        [2, 3, 0, 0, 0],
        [1, 3, 3, 3, 3],
    ]


def test_plain_architectures_take_open_clips_own_tokenizer(tmp_path: Path):
    files = ModelFiles(
        name="ViT-B-16", model_config=known_config("ViT-B-16"), preprocess={}, weights=tmp_path / "x.safetensors"
    )
    found = text_tokenizer(files)(["a red mug"])
    assert torch.equal(found, open_clip.get_tokenizer("ViT-B-16")(["a red mug"]))


@pytest.mark.parametrize("name", ["ViT-B-17", "", "hf-hub:laion/some-model", "local-dir:somewhere"])
def test_unknown_architectures_are_refused_and_not_looked_for_elsewhere(name: str):
    with pytest.raises(InvalidInputError, match=f"such as ViT-B-16, found '{name}'"):
        known_config(name)


def test_unknown_tags_are_refused_with_the_known_ones():
    with pytest.raises(InvalidInputError, match=r"laion2b_s34b_b88k.*found 'laion3'"):
        published_weights("ViT-B-16", "laion3")
    with pytest.raises(InvalidInputError, match="no published weights"):
        published_weights("ViT-S-16", "laion3")


def test_without_open_clip_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == "open_clip" else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(MissingDependencyError, match="pip install"):
        build_model(small_config())
