"""The backbones by name, and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vlm_bridge.assets import asset_path, list_assets
from vlm_bridge.errors import BackboneError

EMBEDDED_ASSET = "vlm_tiny"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBackbone:
    """One entry."""

    kind: Literal["embedded", "hub", "converted"]
    """Comes along; is downloaded as it is; is downloaded and converted first."""
    place: str
    """Name of the asset, or of the repository on the hub."""
    what: str
    """One line for a list."""
    gigabytes: float = 0.0
    """Of its weights in bfloat16; 0 for the embedded one, which is small."""


def _hub(place: str, what: str, gigabytes: float) -> KnownBackbone:
    return KnownBackbone(kind="hub", place=f"OpenGVLab/{place}", what=what, gigabytes=gigabytes)


BACKBONES: dict[str, KnownBackbone] = {
    "embedded": KnownBackbone(
        kind="embedded", place=EMBEDDED_ASSET, what="small, runs on a laptop; for trying things out"
    ),
    "InternVL3-1B": _hub("InternVL3-1B-hf", "the smallest published one", 1.9),
    "InternVL3-2B": _hub("InternVL3-2B-hf", "for one small GPU", 4.2),
    "InternVL3-8B": _hub("InternVL3-8B-hf", "for one GPU of 24 GB", 16),
    "InternVL3-14B": _hub("InternVL3-14B-hf", "for one GPU of 40 GB", 31),
    "InternVL3-38B": _hub("InternVL3-38B-hf", "what Skywork-R1V3 was trained from; 2 GPUs of 80 GB", 77),
    "InternVL3_5-1B": _hub("InternVL3_5-1B-HF", "over Qwen3, the smallest", 2.2),
    "InternVL3_5-2B": _hub("InternVL3_5-2B-HF", "over Qwen3, for one small GPU", 4.7),
    "InternVL3_5-4B": _hub("InternVL3_5-4B-HF", "over Qwen3, for one GPU of 16 GB", 9.5),
    "InternVL3_5-8B": _hub("InternVL3_5-8B-HF", "over Qwen3, for one GPU of 24 GB", 17),
    "InternVL3_5-14B": _hub("InternVL3_5-14B-HF", "over Qwen3, for one GPU of 40 GB", 31),
    "InternVL3_5-38B": _hub("InternVL3_5-38B-HF", "over Qwen3, 2 GPUs of 80 GB", 77),
    "Skywork-R1V3": KnownBackbone(
        kind="converted", place="Skywork/Skywork-R1V3-38B", what="reasons before it answers; 2 GPUs of 80 GB",
        gigabytes=77,
    ),
}  # fmt: skip
"""Name -> backbone. The sizes of those on the hub are rounded."""


def backbone_place(name: str | Path) -> str:
    """Folder, or name on the hub, of the backbone called `name`; what is no name of the catalogue is handed back.

    A hub's own name (`InternVL3-1B-hf`) is known without its owner too.

    Raises:
        BackboneError: it must be converted first, or is not in this installation.
        AssetError: the embedded one is damaged.
    """
    known = BACKBONES.get(str(name)) or _by_place(str(name))
    if known is None:
        return str(name)
    if known.kind == "embedded":
        return str(_embedded())
    if known.kind == "converted":
        raise BackboneError(
            f"{name}: expected the folder of its converted weights, found the name alone. Download {known.place} "
            f"({known.gigabytes:.0f} GB), run `vlm-bridge convert DOWNLOADED FOLDER`, and load FOLDER."
        )
    return known.place


def _by_place(name: str) -> KnownBackbone | None:
    return next((known for known in BACKBONES.values() if name in (known.place, known.place.split("/")[-1])), None)


def _embedded() -> Path:
    if EMBEDDED_ASSET not in {asset.name for asset in list_assets()}:
        others = ", ".join(name for name in BACKBONES if name != "embedded")
        raise BackboneError(
            f"embedded: expected the asset {EMBEDDED_ASSET}, found none in this installation. Install the package "
            f"again, or name another backbone: {others}."
        )
    return asset_path(EMBEDDED_ASSET)
