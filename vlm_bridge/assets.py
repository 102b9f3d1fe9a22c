"""Embedded samples and checkpoints: found by name, in a checkout (`data/`) and in an installed wheel alike.

`manifest.json` beside the assets lists them. An asset is one file or one folder; for every file the manifest holds its
size and SHA-256, and for every asset where it comes from, its licence and the command that makes it again.
Asset names and file names are relative to the manifest's folder, with forward slashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from vlm_bridge.atomic_write import write_text_whole
from vlm_bridge.errors import AssetError
from vlm_bridge.file_hashes import file_sha256

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFile:
    """What the manifest promises about one file."""

    sha256: str
    """Hexadecimal digest of its content."""
    bytes: int
    """Its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One entry of the manifest."""

    name: str
    """Path of the file or folder, relative to the manifest."""
    files: dict[str, AssetFile]
    """Every file of the asset, by path relative to the manifest."""
    source: str
    """Where the content comes from."""
    licence: str
    """Licence of the content, as an SPDX name where there is one."""
    made_by: str
    """Command that makes the asset again, run in the checkout."""


def asset_root() -> Path:
    """The folder that holds the embedded assets and their manifest.

    Raises:
        AssetError: there is none, so the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    places = (package / "embedded", package.parent / "data")
    for place in places:
        if (place / MANIFEST_NAME).is_file():
            return place
    raise AssetError(
        f"Expected {MANIFEST_NAME} in {places[0]} (installed) or {places[1]} (checkout), found neither. "
        "Install the package again."
    )


def list_assets(root: Path | None = None) -> tuple[Asset, ...]:
    """The assets of the manifest in `root` (the embedded ones by default), by name; no file is checked.

    Raises:
        AssetError: the manifest is missing or unreadable.
    """
    path = (root or asset_root()) / MANIFEST_NAME
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["assets"]
        return tuple(_asset_from_json(name, entries[name]) for name in sorted(entries))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AssetError(
            f"{path}: expected a manifest of assets, found an unreadable one ({type(error).__name__}: {error}). "
            "Install the package again, or restore the file from version control."
        ) from error


def asset_path(name: str, root: Path | None = None) -> Path:
    """Path of the asset called `name`, a file or a folder, after its files were found whole.

    Raises:
        AssetError: the name is unknown, or a file is missing or differs from the manifest.
    """
    root = root or asset_root()
    assets = {asset.name: asset for asset in list_assets(root)}
    if name not in assets:
        known = ", ".join(assets) or "none"
        raise AssetError(f"Expected the name of an embedded asset ({known}), found {name!r}. Check the spelling.")
    for file_name, promised in assets[name].files.items():
        _check_file(root / file_name, promised)
    return root / name


def write_manifest_entry(
    name: str, files: Iterable[Path], *, source: str, licence: str, made_by: str, root: Path | None = None
) -> Asset:
    """Put the asset `name`, made of `files` below `root`, into the manifest; an older entry of that name is replaced.

    Recipes call this as their last step. `root` is the checkout's data folder by default.

    Raises:
        AssetError: no files, a file is missing, or a file does not belong to the asset.
    """
    root = root or Path(__file__).resolve().parents[1] / "data"
    asset = Asset(
        name=name, files=dict(_measured_files(name, files, root)), source=source, licence=licence, made_by=made_by
    )
    kept = {other.name: other for other in list_assets(root)} if (root / MANIFEST_NAME).exists() else {}
    kept[name] = asset
    entries = {key: {k: v for k, v in asdict(kept[key]).items() if k != "name"} for key in sorted(kept)}
    write_text_whole(root / MANIFEST_NAME, json.dumps({"assets": entries}, indent=1, ensure_ascii=False) + "\n")
    return asset


def _measured_files(name: str, files: Iterable[Path], root: Path) -> list[tuple[str, AssetFile]]:
    measured = []
    for path in sorted(Path(file).resolve() for file in files):
        if not path.is_file():
            raise AssetError(f"Asset {name!r}: expected a file at {path}, found none. Run its recipe first.")
        if not path.is_relative_to((root / name).resolve()):
            raise AssetError(f"Asset {name!r}: expected files at or below {root / name}, found {path}. Move it there.")
        key = path.relative_to(root.resolve()).as_posix()
        measured.append((key, AssetFile(sha256=file_sha256(path), bytes=path.stat().st_size)))
    if not measured:
        raise AssetError(f"Asset {name!r}: expected at least one file, found none. Give the files its recipe wrote.")
    return measured


def _check_file(path: Path, promised: AssetFile) -> None:
    if not path.is_file():
        raise AssetError(f"Expected an embedded file at {path}, found none. Install the package again.")
    size = path.stat().st_size
    if size != promised.bytes:
        raise AssetError(f"{path}: expected {promised.bytes} bytes, found {size}. Install the package again.")
    found = file_sha256(path)
    if found != promised.sha256:
        raise AssetError(
            f"{path}: expected SHA-256 {promised.sha256[:12]}..., found {found[:12]}... (the file is damaged). "
            "Install the package again."
        )


def _asset_from_json(name: str, entry: dict) -> Asset:
    for path in (name, *entry["files"]):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError(f"{path!r} leaves the folder of the manifest")
    files = {path: AssetFile(**facts) for path, facts in entry["files"].items()}
    return Asset(name=name, files=files, source=entry["source"], licence=entry["licence"], made_by=entry["made_by"])
