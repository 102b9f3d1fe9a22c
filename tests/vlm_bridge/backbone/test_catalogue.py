"""Backbones by name: where each leads, and what is said where it leads nowhere yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge import assets
from vlm_bridge.assets import write_manifest_entry
from vlm_bridge.backbone.catalogue import BACKBONES, EMBEDDED_ASSET, backbone_place
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import load_backbone, save_backbone
from vlm_bridge.errors import AssetError, BackboneError
from vlm_bridge.images.tile_batch import TilingConfig


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of assets with a tiny backbone as the embedded one."""
    backbone = InternVLBackbone(tiny_internvl(), tiny_tokenizer(), TilingConfig(tile_size=28))
    save_backbone(backbone, tmp_path / EMBEDDED_ASSET)
    files = list((tmp_path / EMBEDDED_ASSET).iterdir())
    write_manifest_entry(EMBEDDED_ASSET, files, source="a test", licence="CC0-1.0", made_by="a test", root=tmp_path)
    monkeypatch.setattr(assets, "asset_root", lambda: tmp_path)
    return tmp_path


def test_the_embedded_one_is_loaded_by_name(data: Path) -> None:
    assert backbone_place("embedded") == str(data / EMBEDDED_ASSET)
    assert load_backbone("embedded").tiling.tile_size == 28


def test_a_damaged_embedded_one_is_noticed(data: Path) -> None:
    (data / EMBEDDED_ASSET / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(AssetError, match=r"model\.safetensors"):
        load_backbone("embedded")


def test_an_installation_without_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text('{"assets": {}}')
    monkeypatch.setattr(assets, "asset_root", lambda: tmp_path)
    with pytest.raises(BackboneError, match=f"expected the asset {EMBEDDED_ASSET}, found none"):
        load_backbone("embedded")


@pytest.mark.parametrize("name", ["InternVL3-8B", "InternVL3-8B-hf", "OpenGVLab/InternVL3-8B-hf"])
def test_published_ones_are_known_by_short_and_long_names(name: str) -> None:
    assert backbone_place(name) == "OpenGVLab/InternVL3-8B-hf"


@pytest.mark.parametrize("name", ["Skywork-R1V3", "Skywork/Skywork-R1V3-38B"])
def test_what_must_be_converted_says_how(name: str) -> None:
    with pytest.raises(BackboneError, match="vlm-bridge convert"):
        load_backbone(name)


@pytest.mark.parametrize("name", ["somebody/else", "folder", Path("a/b")])
def test_other_names_are_left_alone(name: str | Path) -> None:
    assert backbone_place(name) == str(name)


def test_published_places_are_those_in_the_layout_of_transformers() -> None:
    places = [known.place for known in BACKBONES.values() if known.kind == "hub"]
    assert len(set(places)) == len(places) == 11
    # The same repositories without the ending hold the original layout, which needs code of its own.
    assert all(place.lower().endswith("-hf") for place in places)
