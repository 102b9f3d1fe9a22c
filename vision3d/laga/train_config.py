"""`TrainLagaConfig`: everything that decides how a scene is taken apart and described."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vision3d.errors import InvalidInputError
from vision3d.laga.lift_objects import LiftConfig
from vision3d.laga.object_descriptors import DescriptorConfig
from vision3d.laga.trained_objects import TrainedConfig
from vision3d.language.crops import CropSettings

ENGINES = ("lift", "trained")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainLagaConfig:
    """Settings of `train_laga` and of the files around it."""

    engine: Literal["lift", "trained"] = "lift"
    """`lift` groups masks without training; `trained` is the published method (affinity features and HDBSCAN)."""
    lift: LiftConfig = field(default_factory=LiftConfig)
    """Settings of the lift engine."""
    trained: TrainedConfig = field(default_factory=TrainedConfig)
    """Settings of the trained engine."""
    crops: CropSettings = field(default_factory=lambda: CropSettings(minimum_pixels=20))
    """How masks are shown to the encoder; smaller masks are left out."""
    descriptors: DescriptorConfig = field(default_factory=DescriptorConfig)
    """How vectors of masks become descriptors."""

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise InvalidInputError(f"Expected an engine of {', '.join(ENGINES)}, found {self.engine!r}. Choose one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSceneConfig:
    """Settings of `train_scene`, which works on files."""

    masks: str = "contours"
    """Proposer of masks, or a folder of masks; `vision3d masks --help` lists the names."""
    encoder: str = "embedded"
    """Encoder of pictures and phrases: `embedded`, MODEL/TAG, MODEL=FILE or a folder."""
    describe_by: Literal["looks", "masks"] = "looks"
    """What describes an object: `looks` cuts the object itself, as it was found, out of every photo; `masks` takes the
    masks that were grouped into it, as LaGa does."""
    max_side: int | None = None
    """Longest side of the photos in pixels; None = the size the scene was fitted at."""
    test_every: int = 0
    """Leave every n-th view out, for measuring; 0 uses all views."""
    camera_format: Literal["auto", "transforms", "blender", "colmap"] = "auto"
    """Which camera file to read where a folder has several."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to encode and train; auto takes CUDA when there is one."""
    laga: TrainLagaConfig = field(default_factory=TrainLagaConfig)
    """How the scene is taken apart."""

    def __post_init__(self) -> None:
        if self.max_side is not None and self.max_side < 1:
            raise InvalidInputError(
                f"TrainSceneConfig: expected max_side of at least 1 pixel, found {self.max_side}. Raise it."
            )
