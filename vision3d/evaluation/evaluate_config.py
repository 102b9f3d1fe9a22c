"""`EvaluateConfig`: every setting of `evaluate_run`; the command line is made from it. Nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vision3d.errors import InvalidInputError
from vision3d.laga.query_config import QueryConfig

FORMATS = {
    "instances": "objects.json and masks/<view>.png, as the embedded tabletop has them",
    "lerf-ovs": "the folder label/<scene> with frame_*.json",
    "3d-ovs": "the folder of a scene with segmentations/<view>/<class>.png",
    "scannet": "the folder of a scan with <scene>_vh_clean_2.labels.ply; the Gaussians lie on its vertices",
}
"""Format -> the folder it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """What is asked, and how."""

    format: Literal["instances", "lerf-ovs", "3d-ovs", "scannet"] = "instances"
    """Layout of the benchmark: `instances` (objects.json and masks, as the embedded tabletop), `lerf-ovs`
    (label/<scene>/frame_*.json), `3d-ovs` (segmentations/<view>/<class>.png), `scannet` (labelled vertices)."""
    data: Path | None = None
    """Folder of the photos with their cameras; None takes the cameras that the fit left beside the splats."""
    views: tuple[str, ...] = ()
    """Views to ask in, for `instances`; none takes the held-out views, or all where none were held out."""
    encoder: str | None = None
    """Encoder of phrases, by the names of `vision3d train`; None takes the one the scene was trained with."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render and encode."""
    opacity_threshold: float = 0.1
    """Gaussians below this opacity are left out, for `scannet`. OpenGaussian's."""
    query: Annotated[QueryConfig, tyro.conf.arg(name="")] = field(default_factory=QueryConfig)
    """Every threshold between a phrase and a selection, the same for all phrases and scenes."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS or not 0 <= self.opacity_threshold <= 1:
            raise InvalidInputError(
                f"EvaluateConfig: expected a format of {', '.join(FORMATS)} and an opacity threshold in 0-1, found "
                f"{self.format!r} and {self.opacity_threshold}. Change them."
            )
