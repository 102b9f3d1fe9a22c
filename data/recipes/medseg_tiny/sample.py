"""`python -m data.recipes.medseg_tiny.sample`: the radiograph of the demo, of a seed that nothing was learned from."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from data.recipes.medseg_tiny.phantoms import chest_phantom
from vlm_bridge.assets import asset_root, write_manifest_entry

SEED = 1000
NAME = "chest_radiograph"


def write_sample(root: Path) -> None:
    """Draw it and put it into the manifest."""
    path = root / NAME / "phantom.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(chest_phantom(SEED).image[..., 0]).save(path, optimize=True)
    write_manifest_entry(
        NAME, [path], source="drawn by data/recipes/medseg_tiny/phantoms.py; nobody's body", licence="Apache-2.0",
        made_by="python -m data.recipes.medseg_tiny.sample", root=root,
    )  # fmt: skip


if __name__ == "__main__":
    write_sample(asset_root())
