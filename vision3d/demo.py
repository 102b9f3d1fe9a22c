"""`run_demo`: the main job on the embedded scene: fit it, orbit it, write pictures and a page."""

from __future__ import annotations

from pathlib import Path

from vision3d.reconstruction.fit_config import FitConfig
from vision3d.reconstruction.fit_scene import FitReport, FitSceneConfig, fit_scene
from vlm_bridge.assets import asset_path

DEMO_STEPS = 2000
"""Few enough for under three minutes on two cores, compilation included."""


def run_demo(output: str | Path, *, steps: int = DEMO_STEPS) -> FitReport:
    """Fit the embedded tabletop and write `output`/index.html with its pictures; an older demo there is replaced."""
    config = FitSceneConfig(max_side=256, fit=FitConfig(steps=steps))
    return fit_scene(asset_path("tabletop"), output, config, overwrite=True)
