"""A connector on disk: read what was written, and never into a model it does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.vlm_bridge.tiny_models import tiny_internvl
from vlm_bridge.connector.connector_file import load_connector, save_connector
from vlm_bridge.connector.mlp_connector import CONNECTOR_TENSORS, ConnectorConfig, MlpConnector
from vlm_bridge.errors import BackboneError

CONFIG = ConnectorConfig(vision_width=16, language_width=32)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "connector.safetensors"
    save_connector(MlpConnector(CONFIG), path, CONFIG)
    return path


def test_read_what_was_written(tmp_path: Path) -> None:
    first, second = MlpConnector(CONFIG), MlpConnector(CONFIG)
    save_connector(first, tmp_path / "deep" / "connector.safetensors", CONFIG)
    assert load_connector(tmp_path / "deep" / "connector.safetensors", second, CONFIG) == CONFIG
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor)


def test_projector_of_transformers_is_saved_and_loaded_alike(tmp_path: Path) -> None:
    tuned, base = tiny_internvl(seed=1), tiny_internvl(seed=0)
    save_connector(tuned.model.multi_modal_projector, tmp_path / "tuned", CONFIG)
    load_connector(tmp_path / "tuned", base.model.multi_modal_projector, CONFIG)
    old = tiny_internvl(seed=0).state_dict()
    changed = {name for name, tensor in base.state_dict().items() if not torch.equal(tensor, old[name])}
    # Norm and biases are ones and zeros in every fresh model; the rest is random.
    assert changed == {f"model.multi_modal_projector.linear_{number}.weight" for number in (1, 2)}
    assert torch.equal(
        base.model.multi_modal_projector.linear_1.weight, tuned.model.multi_modal_projector.linear_1.weight
    )


def test_file_holds_the_six_tensors_in_their_type(tmp_path: Path) -> None:
    save_connector(MlpConnector(CONFIG).bfloat16(), tmp_path / "half", CONFIG)
    with safe_open(tmp_path / "half", framework="pt") as file:
        assert sorted(file.keys()) == sorted(CONNECTOR_TENSORS)
        assert {file.get_tensor(name).dtype for name in CONNECTOR_TENSORS} == {torch.bfloat16}
    into = MlpConnector(CONFIG)
    load_connector(tmp_path / "half", into)
    assert into.linear_1.weight.dtype == torch.float32


@pytest.mark.parametrize(
    "other", [{"vision_width": 32}, {"language_width": 16}, {"ratio": 0.25, "vision_width": 4}, {"activation": "silu"}]
)
def test_other_config_is_refused(saved: Path, other: dict) -> None:
    config = replace(CONFIG, **other)
    into = MlpConnector(config)
    before = {name: tensor.clone() for name, tensor in into.state_dict().items()}
    with pytest.raises(BackboneError, match="expected a connector of"):
        load_connector(saved, into, config)
    assert all(torch.equal(tensor, before[name]) for name, tensor in into.state_dict().items())


def test_other_shapes_are_refused_without_a_config_too(saved: Path) -> None:
    with pytest.raises(BackboneError, match=r"linear_2.weight: \(32, 32\), not \(24, 24\)"):
        load_connector(saved, MlpConnector(replace(CONFIG, language_width=24)))


def test_module_that_is_no_connector_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"layer_norm\.weight"):
        load_connector(saved, torch.nn.Linear(2, 2))
    with pytest.raises(BackboneError, match="not missing"):
        save_connector(torch.nn.Linear(2, 2), tmp_path / "none", CONFIG)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "missing", "of another program", "config changed"])
def test_damaged_file_is_refused(saved: Path, damage: str) -> None:
    content = bytearray(saved.read_bytes())
    if damage == "missing":
        saved.unlink()
    elif damage == "of another program":
        save_file(MlpConnector(CONFIG).state_dict(), saved)
    elif damage == "config changed":
        # The same length, so that the file stays readable: gelu becomes silu.
        saved.write_bytes(bytes(content).replace(b"gelu", b"silu", 1))
    else:
        content[-1] ^= 1
        saved.write_bytes({"cut": content[:-9], "changed": content, "emptied": b""}[damage])
    with pytest.raises(BackboneError, match="saved by save_connector"):
        load_connector(saved, MlpConnector(CONFIG))
