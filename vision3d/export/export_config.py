"""`ExportConfig`: every setting of `export_run`; the command line is made from it. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vision3d.errors import InvalidInputError
from vision3d.export.ask_config import AskConfig
from vision3d.export.mesh_config import MeshConfig

Format = Literal["ply", "splat", "mesh", "boxes", "masks", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """What is written, and how."""

    formats: Annotated[tuple[Format, ...], tyro.conf.arg(name="format")] = ("ply",)
    """ply and splat: the Gaussians; mesh: their surface; boxes: JSON; masks: PNG and COCO along a camera path;
    table: all objects of the scene as CSV and JSON."""
    cameras: Path | None = None
    """Scene folder, fitted folder or camera file; None takes the cameras beside the splats, or an orbit."""
    path: Literal["views", "orbit"] = "views"
    """Path of the masks: the scene's own views, or a closed orbit."""
    views: tuple[str, ...] = ()
    """Names of the views to mask; none takes all of them."""
    frames: int = 60
    """Views of the orbit."""
    max_side: int | None = None
    """Longest side of the masks in pixels; None = the size of the cameras (512 without any)."""
    mesh_format: Literal["ply", "obj", "glb", "stl"] = "ply"
    """Format of meshes."""
    mesh: MeshConfig = field(default_factory=MeshConfig)
    """How Gaussians become a mesh."""
    words: tuple[str, ...] = ()
    """Words that the table chooses from; none takes the encoder's own vocabulary, where it has a closed one."""
    ask: Annotated[AskConfig, tyro.conf.arg(name="")] = field(default_factory=AskConfig)
    """How things are found."""

    def __post_init__(self) -> None:
        if not self.formats:
            raise InvalidInputError(
                "ExportConfig: expected at least one format, found none. Give --format ply, for instance."
            )
        if self.frames < 1 or (self.max_side is not None and self.max_side < 1):
            raise InvalidInputError(
                f"ExportConfig: expected frames and max_side of at least 1, found {self.frames} and {self.max_side}. "
                "Raise them."
            )
        if not all(word.strip() for word in self.words):
            raise InvalidInputError(f"ExportConfig: expected words, found an empty one in {self.words}. Leave it out.")
