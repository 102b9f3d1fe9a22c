"""Assets: what a recipe registers is found again, and any damage is told."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vlm_bridge.assets import asset_path, asset_root, list_assets, write_manifest_entry
from vlm_bridge.errors import AssetError

FACTS = {"source": "drawn for this test", "licence": "CC0-1.0", "made_by": "python -m recipe"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with one folder asset and one file asset."""
    (tmp_path / "scene" / "images").mkdir(parents=True)
    (tmp_path / "scene" / "images" / "a.txt").write_text("first")
    (tmp_path / "scene" / "poses.json").write_text("{}")
    (tmp_path / "tiny.bin").write_bytes(b"1234")
    write_manifest_entry("tiny.bin", [tmp_path / "tiny.bin"], root=tmp_path, **FACTS)
    write_manifest_entry("scene", [p for p in (tmp_path / "scene").rglob("*") if p.is_file()], root=tmp_path, **FACTS)
    return tmp_path


def test_registered_assets_are_found(root: Path) -> None:
    assert asset_path("scene", root) == root / "scene"
    assert asset_path("tiny.bin", root).read_bytes() == b"1234"
    scene, tiny = list_assets(root)
    assert (scene.name, tiny.name) == ("scene", "tiny.bin")
    assert sorted(scene.files) == ["scene/images/a.txt", "scene/poses.json"]
    assert tiny.files["tiny.bin"].bytes == 4
    assert (scene.source, scene.licence, scene.made_by) == tuple(FACTS.values())


def test_writing_an_entry_again_replaces_it_and_keeps_the_others(root: Path) -> None:
    (root / "tiny.bin").write_bytes(b"12345")
    write_manifest_entry("tiny.bin", [root / "tiny.bin"], root=root, **FACTS)
    assert asset_path("tiny.bin", root).read_bytes() == b"12345"
    assert [asset.name for asset in list_assets(root)] == ["scene", "tiny.bin"]


def test_manifest_does_not_depend_on_the_order_of_files(root: Path) -> None:
    before = (root / "manifest.json").read_text()
    files = sorted((p for p in (root / "scene").rglob("*") if p.is_file()), reverse=True)
    write_manifest_entry("scene", files, root=root, **FACTS)
    assert (root / "manifest.json").read_text() == before


def test_unknown_name_lists_the_known_ones(root: Path) -> None:
    with pytest.raises(AssetError, match=r"scene, tiny\.bin.*'scen'"):
        asset_path("scen", root)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "found none"), (b"123", "expected 4 bytes, found 3"), (b"1235", "damaged")],
    ids=["missing", "cut", "one bit changed"],
)
def test_damage_is_told(root: Path, content: bytes | None, message: str) -> None:
    if content is None:
        (root / "tiny.bin").unlink()
    else:
        (root / "tiny.bin").write_bytes(content)
    with pytest.raises(AssetError, match=message):
        asset_path("tiny.bin", root)


def test_damage_in_a_folder_names_the_file(root: Path) -> None:
    (root / "scene" / "images" / "a.txt").write_text("First")
    with pytest.raises(AssetError, match=r"images/a\.txt"):
        asset_path("scene", root)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"assets": {"a": {}}}', '{"assets": {"a": {"files": {"../b": {"sha256": "", "bytes": 0}}}}}'],
    ids=["empty", "a list", "no files", "leaves the folder"],
)
def test_bad_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(AssetError, match=r"manifest\.json: expected a manifest"):
        list_assets(tmp_path)


def test_entry_needs_existing_files_of_its_own(root: Path) -> None:
    with pytest.raises(AssetError, match="at least one file"):
        write_manifest_entry("empty", [], root=root, **FACTS)
    with pytest.raises(AssetError, match="Run its recipe"):
        write_manifest_entry("scene", [root / "scene" / "missing"], root=root, **FACTS)
    with pytest.raises(AssetError, match="Move it there"):
        write_manifest_entry("scene", [root / "tiny.bin"], root=root, **FACTS)


def test_every_embedded_asset_is_whole(checkout: Path) -> None:
    assert asset_root() == checkout / "data"
    for asset in list_assets():
        assert asset_path(asset.name).exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_wheel_carries_the_assets(checkout: Path, tmp_path: Path) -> None:
    """The wheel is built and unpacked, and another Python finds every asset in it."""
    build = ["-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", str(tmp_path), str(checkout)]
    subprocess.run([sys.executable, *build], check=True)
    (wheel,) = tmp_path.glob("vision3d_medseg-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "__pycache__" in name or name.startswith("tests/")]
        archive.extractall(installed)
    question = (
        "import json; from vlm_bridge.assets import asset_path, list_assets;"
        "print(json.dumps({a.name: str(asset_path(a.name)) for a in list_assets()}))"
    )
    # From another folder, so that only the unpacked wheel can answer.
    answer = subprocess.run(
        [sys.executable, "-c", question],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": ""},
    )
    found = json.loads(answer.stdout)
    assert sorted(found) == [asset.name for asset in list_assets()]
    assert found
    assert all(Path(path).is_relative_to(installed / "vlm_bridge" / "embedded") for path in found.values())
