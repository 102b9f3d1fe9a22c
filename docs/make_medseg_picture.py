"""Draws the picture of docs/medseg.md: `python -m docs.make_medseg_picture` writes docs/pictures/medseg.png.

The study is a phantom computed here, a chest of ellipsoids in HU; no person's images are in the repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from medseg.inference.catalogue import load_segmenter
from medseg.inference.segment import segment
from medseg.report.overlay import OverlayOptions, write_overlay_png
from medseg.study.volume import Volume, volume_in_memory

PICTURE = Path(__file__).parent / "pictures" / "medseg.png"
QUESTION = "Where are the lungs and the bone, and is there metal?"
_SHAPE, _SPACING_MM = (220, 170, 60), (1.6, 1.6, 4.0)


def chest_phantom(seed: int = 0) -> Volume:
    """Skin, fat, muscle, two lungs with vessels, a heart, ribs and a spine, in HU with noise."""
    x, y, z = (
        (np.arange(count, dtype=np.float32) - count / 2)[tuple(slice(None) if i == axis else None for i in range(3))]
        * _SPACING_MM[axis]
        for axis, count in enumerate(_SHAPE)
    )
    rng = np.random.default_rng(seed)
    voxels = np.full(_SHAPE, -1000, np.float32)

    def fill(value: float, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> None:
        where = sum(((axis - c) / r) ** 2 for axis, c, r in zip((x, y, z), centre, radii, strict=True)) < 1
        voxels[where] = value

    for value, shrink in ((-95.0, 0.0), (45.0, 14.0)):
        fill(value, (0, 0, 0), (160 - shrink, 112 - shrink, 1e4))
    for side in (-1, 1):
        fill(-860, (side * 72, 4, 10), (52, 76, 120))
        for _ in range(90):
            across, up, along = rng.normal((side * 66, 0, 0), (20, 28, 40))
            fill(-300, (across, up, along), (2.5, 2.5, 9))
    fill(48, (-18, 24, -30), (46, 40, 70))
    for level in np.arange(-110.0, 111.0, 26.0):
        ring = (x / 136) ** 2 + (y / 92) ** 2
        slanted = np.abs(z - level - y * 0.25) < 6
        voxels[(ring > 0.93) & (ring < 1.06) & slanted & (np.abs(x) > 14)] = 480
    fill(420, (0, -78, 0), (17, 16, 1e4))
    fill(20, (0, -92, 0), (8, 8, 1e4))
    voxels += rng.normal(0, 14, _SHAPE).astype(np.float32)
    affine = np.diag([*_SPACING_MM, 1.0])
    return volume_in_memory(np.round(voxels).astype(np.int16), affine, modality="CT", unit="HU")


def main() -> None:
    """Ask the phantom and draw the answer."""
    result = segment(load_segmenter("classical"), chest_phantom(), QUESTION)
    write_overlay_png(PICTURE, result, OverlayOptions(slices=3))
    with Image.open(PICTURE) as drawn:
        drawn.convert("RGB").quantize(96).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
