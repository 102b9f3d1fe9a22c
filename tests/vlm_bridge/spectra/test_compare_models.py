"""Whole models, shards and adapters: the same numbers whichever way the tuned weights are stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.vlm_bridge.adapters.tiny_adapted import learn, tiny_backbone
from vlm_bridge.adapters.adapt import adapt, load_adapter, merge_adapters
from vlm_bridge.adapters.catalogue import ADAPTERS
from vlm_bridge.adapters.whole_parts import save_whole_parts
from vlm_bridge.backbone.load import save_backbone
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.spectra.compare_models import SpectraConfig, SpectraStudy, compare_models, matrix_kind
from vlm_bridge.spectra.report import JSON_NAME, VALUES_NAME, write_report
from vlm_bridge.spectra.weight_files import INDEX_NAME, open_weights

SHARED = ("vera", "randlora")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    save_backbone(tiny_backbone(), folder)
    return folder


def _compare(base: Path, tuned: Path, **settings: object) -> SpectraStudy:
    return compare_models(base, tuned, SpectraConfig(top=4, **settings), progress=False)


def _tuned(base: Path, folder: Path, names: tuple[str, ...] = ("q_proj.weight",), by: float = 0.1) -> Path:
    tensors = load_file(base / "model.safetensors")
    for name, value in tensors.items():
        if name.endswith(names):
            tensors[name] = value + by * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_only_what_was_tuned_changed(base: Path, tmp_path: Path) -> None:
    study = _compare(base, _tuned(base, tmp_path / "tuned"))
    assert study.changed
    assert all(one.name.endswith("q_proj.weight") for one in study.changed)
    assert len(study.matrices) > len(study.changed)
    assert study.values.keys() == {one.name for one in study.changed}


def test_shards_give_the_same_as_one_file(base: Path, tmp_path: Path) -> None:
    tuned = _tuned(base, tmp_path / "tuned")
    whole = _compare(base, tuned)
    tensors = load_file(tuned / "model.safetensors")
    shards = tmp_path / "shards"
    shards.mkdir()
    names = sorted(tensors)
    places = {name: f"model-{1 + (number % 2):05d}-of-00002.safetensors" for number, name in enumerate(names)}
    for file in set(places.values()):
        save_file({name: tensors[name] for name in names if places[name] == file}, shards / file)
    (shards / INDEX_NAME).write_text(json.dumps({"weight_map": places}))
    study = _compare(base, shards)
    assert {one.name: one.relative_change for one in study.matrices} == {
        one.name: one.relative_change for one in whole.matrices
    }
    (shards / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BackboneError, match="all shards"):
        open_weights(shards)


@pytest.mark.parametrize("name", sorted(set(ADAPTERS) - set(SHARED)))
def test_an_adapter_gives_the_same_as_the_merged_model(base: Path, tmp_path: Path, name: str) -> None:
    backbone = adapt(tiny_backbone(), name)
    learn(backbone, steps=3)
    backbone.model.save_pretrained(tmp_path / "adapter")
    save_backbone(merge_adapters(load_adapter(tiny_backbone(), tmp_path / "adapter")), tmp_path / "merged")
    adapter, merged = _compare(base, tmp_path / "adapter"), _compare(base, tmp_path / "merged")
    expected = {one.name: one for one in merged.changed}
    found = {one.name: one for one in adapter.changed}
    assert found.keys() == expected.keys()
    assert all("language_model" in key for key in found)
    for key, one in found.items():
        assert one.relative_change == pytest.approx(expected[key].relative_change, rel=1e-2), key
        assert one.norm == expected[key].norm


def test_weights_that_learned_whole_are_compared_too(base: Path, tmp_path: Path) -> None:
    backbone = adapt(tiny_backbone(), "lora")
    learn(backbone, steps=1)
    names = [name for name, _ in backbone.model.named_parameters() if "multi_modal_projector.linear_1.weight" in name]
    with torch.no_grad():
        backbone.model.get_parameter(names[0]).add_(1.0)
    backbone.model.save_pretrained(tmp_path)
    assert save_whole_parts(backbone.model, names, tmp_path)
    changed = {one.name for one in _compare(base, tmp_path).changed}
    assert any("multi_modal_projector" in name for name in changed)
    loaded = load_adapter(tiny_backbone(), tmp_path)
    assert torch.equal(loaded.model.get_parameter(names[0]), backbone.model.get_parameter(names[0]))


@pytest.mark.parametrize("name", SHARED)
def test_adapters_that_share_tensors_are_refused(base: Path, tmp_path: Path, name: str) -> None:
    adapt(tiny_backbone(), name).model.save_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match="Merge it"):
        _compare(base, tmp_path)


def test_models_that_do_not_fit_are_refused(base: Path, tmp_path: Path) -> None:
    tuned = _tuned(base, tmp_path / "tuned")
    tensors = load_file(tuned / "model.safetensors")
    head = next(name for name in tensors if "lm_head" in name or "embed" in name)
    save_file(tensors | {head: torch.cat([tensors[head]] * 2)}, tuned / "model.safetensors")
    with pytest.raises(InvalidInputError, match="--exclude"):
        _compare(base, tuned)
    assert _compare(base, tuned, exclude=(head,)).changed
    save_file({name: value for name, value in tensors.items() if name != head}, tuned / "model.safetensors")
    with pytest.raises(InvalidInputError, match=r"missing: .*others: none"):
        _compare(base, tuned)
    with pytest.raises(InvalidInputError, match="safetensors"):
        _compare(base, tmp_path)
    with pytest.raises(InvalidInputError, match="patterns"):
        _compare(base, base, include=("nothing*",))
    (tuned / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(BackboneError, match="unreadable"):
        _compare(base, tuned)


def test_an_adapter_of_another_model_is_refused(base: Path, tmp_path: Path) -> None:
    adapt(tiny_backbone(), "lora").model.save_pretrained(tmp_path / "adapter")
    other = tmp_path / "other.safetensors"
    save_file({"somewhere.else.weight": torch.ones(4, 4)}, other)
    with pytest.raises(InvalidInputError, match="which that model has not"):
        _compare(other, tmp_path / "adapter")


def test_the_report_holds_what_was_found(base: Path, tmp_path: Path) -> None:
    study = _compare(base, _tuned(base, tmp_path / "tuned"), control=True)
    page = write_report(study, tmp_path / "report")
    text = page.read_text()
    for part in ("By kind of matrix", "q_proj", "Control", "singular_values.png"):
        assert part in text
    stored = json.loads((tmp_path / "report" / JSON_NAME).read_text())
    assert len(stored["matrices"]) == len(study.matrices)
    assert len(stored["control"]) == len(study.changed)
    values = load_file(tmp_path / "report" / VALUES_NAME)
    name = study.changed[0].name
    assert torch.equal(values[f"{name}.after"], study.values[name][1])
    for plot in ("singular_values.png", "overlaps.png", "layers.png"):
        assert (tmp_path / "report" / plot).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InvalidInputError, match="new or empty"):
        write_report(study, tmp_path / "report")


def test_nothing_changed(base: Path, tmp_path: Path) -> None:
    study = _compare(base, base)
    assert study.changed == ()
    assert "Nothing changed." in write_report(study, tmp_path / "report").read_text()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("language_model.model.layers.3.mlp.up_proj.weight", ("language_model.model.mlp.up_proj", 3)),
        ("vision_tower.encoder.layer.0.attention.q_proj.weight", ("vision_tower.encoder.attention.q_proj", 0)),
        ("lm_head.weight", ("lm_head", -1)),
    ],
)
def test_kinds_of_matrices(name: str, kind: tuple[str, int]) -> None:
    assert matrix_kind(name) == kind
