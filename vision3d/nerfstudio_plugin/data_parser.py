"""`vision3d-data`: vision3d's own readers as a data parser of nerfstudio.

COLMAP, transforms.json and Blender scenes are told apart, photos that are missing are left out, and nothing is moved:
splats lie in the frame of the camera file, so exports and `vision3d query` fit the scene as it is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.plugins.registry_dataparser import DataParserSpecification

from vision3d.cameras.catalogue import read_posed_photos
from vision3d.cameras.split_views import split_views
from vision3d.nerfstudio_plugin.frames import VIEW_NAMES, applied_transform_of, nerfstudio_cameras
from vision3d.scene.bounds import scene_scale


@dataclass
class Vision3dDataParserConfig(DataParserConfig):
    """Settings of `vision3d-data`."""

    _target: type = field(default_factory=lambda: Vision3dDataParser)
    data: Path = Path()
    """Scene folder or camera file."""
    test_every: int = 8
    """Hold out every n-th view; 0 holds out none."""
    camera_format: Literal["auto", "transforms", "blender", "colmap"] = "auto"
    """Which camera file to read where a folder has several."""


@dataclass
class Vision3dDataParser(DataParser):
    """Reads posed photos the way `vision3d fit` does."""

    config: Vision3dDataParserConfig

    def _generate_dataparser_outputs(self, split: str = "train", **_: Any) -> DataparserOutputs:
        posed = read_posed_photos(self.config.data, camera_format=self.config.camera_format)
        views = split_views(posed.cameras.names, every=self.config.test_every, held_out=posed.held_out)
        names = views.train if split == "train" or not views.test else views.test
        rows = [posed.cameras.index_of(name) for name in names]
        reach = max(scene_scale(posed.cameras.camera_centres), 1.0)
        metadata: dict[str, Any] = {VIEW_NAMES: list(names)}
        if posed.points is not None:
            metadata["points3D_xyz"] = posed.points.positions.float()
            metadata["points3D_rgb"] = posed.points.colours.float() * 255.0
        original = torch.eye(4)[:3]
        if posed.source == "transforms":
            original = applied_transform_of(self.config.data).float()
        return DataparserOutputs(
            image_filenames=[posed.image_paths[row] for row in rows],
            cameras=nerfstudio_cameras(posed.cameras.select(names), posed.distortion[rows]),
            scene_box=SceneBox(aabb=torch.tensor([[-reach] * 3, [reach] * 3])),
            metadata=metadata,
            dataparser_transform=original,  # where the data set's maker moved the world; nothing is moved here
        )


specification = DataParserSpecification(
    config=Vision3dDataParserConfig(),
    description="COLMAP, transforms.json or Blender, read by vision3d; the frame of the camera file is kept.",
)
"""What the entry point `nerfstudio.dataparser_configs` names."""
