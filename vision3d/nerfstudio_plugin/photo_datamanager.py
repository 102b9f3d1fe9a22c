"""`PhotoDatamanager`: nerfstudio's full-image data manager on photos that vision3d has decoded.

Photos are undistorted and reduced once, as `vision3d fit` does it, and the same pixels train the splats, are split
into masks and are shown to the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.configs.dataparser_configs import AnnotatedDataParserUnion
from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanager, FullImageDatamanagerConfig

from vision3d.cameras.load_photos import load_photos
from vision3d.cameras.posed_photos import Photos
from vision3d.nerfstudio_plugin.data_parser import Vision3dDataParserConfig
from vision3d.nerfstudio_plugin.frames import camera_file_frame, nerfstudio_cameras, posed_photos_of
from vision3d.reconstruction.fit_gaussians import view_of_step

POSED = "posed_photos"
OUTPUTS = "dataparser_outputs"
FILE_FRAME = "camera_file_frame"
"""Entries that the model finds in the metadata of the training data."""


@dataclass
class PhotoDatamanagerConfig(FullImageDatamanagerConfig):
    """Settings of the photos."""

    _target: type = field(default_factory=lambda: PhotoDatamanager)
    dataparser: AnnotatedDataParserUnion = field(default_factory=Vision3dDataParserConfig)
    """Reader of cameras and photos."""
    max_side: int = 240
    """Longest side of the photos used, in pixels; larger photos are reduced."""


class PhotoDatamanager(FullImageDatamanager):
    """Serves one photo per step; which one follows from the step alone, so a resumed run goes on as it would have."""

    config: PhotoDatamanagerConfig

    def __init__(self, config: PhotoDatamanagerConfig, **kwargs: Any) -> None:
        """Read the cameras; photos are decoded when they are first asked for."""
        super().__init__(config, **kwargs)
        self.train_dataset.metadata |= {
            POSED: posed_photos_of(self.train_dataparser_outputs),
            OUTPUTS: self.train_dataparser_outputs,
            FILE_FRAME: camera_file_frame(self.dataparser, self.train_dataparser_outputs),
        }

    @cached_property
    def photos(self) -> Photos:
        """The training photos."""
        return load_photos(self.train_dataset.metadata[POSED], max_side=self.config.max_side)

    def next_train(self, step: int) -> tuple[Cameras, dict[str, Any]]:
        """Camera and photo of a step."""
        images = self.cached_train
        row = view_of_step(step, len(images), self.config.train_cameras_sampling_seed)
        return self.train_cameras[row : row + 1].to(self.device), self._on_device(images[row])

    def _load_images(self, split: str, cache_images_device: str) -> list[dict[str, Any]]:
        """The photos as nerfstudio keeps them; their cameras lose the distortion and take the new size."""
        training = split == "train"
        dataset = self.train_dataset if training else self.eval_dataset
        photos = self.photos
        if not training:
            outputs = self.dataparser.get_dataparser_outputs(split=self.test_split)
            photos = load_photos(posed_photos_of(outputs), max_side=self.config.max_side)
        dataset.cameras = nerfstudio_cameras(photos.cameras)
        if training:
            self.train_cameras = dataset.cameras.to(self.device)
        images = photos.images if cache_images_device == "cpu" else photos.images.to(self.device)
        return [{"image": images[row], "image_idx": row} for row in range(len(images))]

    def _on_device(self, entry: dict[str, Any]) -> dict[str, Any]:
        return entry | {"image": torch.as_tensor(entry["image"]).to(self.device)}
