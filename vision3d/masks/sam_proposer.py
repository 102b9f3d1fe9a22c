"""`SamProposer` and `Sam2Proposer`: masks of everything in a photo, by Segment Anything and Segment Anything 2.

Both need weights of yours; see `load_sam` and `load_sam2`. A photo costs its encoding and the decoding of
points_per_side squared points, five times that with one layer of crops.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Int16, UInt8
from numpy import ndarray

from vision3d.masks.everything import EverythingSettings, LookAt, segment_everything
from vlm_bridge.file_hashes import file_sha256


class _EverythingProposer:
    """A model that answers points, with settings."""

    def __init__(self, name: str, digest: str, look_at: LookAt, settings: EverythingSettings) -> None:
        self._name = name
        self._digest = digest
        self._look_at = look_at
        self._settings = settings

    @property
    def proposer_id(self) -> str:
        """Name, digest of the weights and settings."""
        return f"{self._name}/{self._digest}/{self._settings.described()}"

    @property
    def level_names(self) -> tuple[str, ...]:
        """The levels of the settings, from fine to coarse."""
        return self._settings.levels

    def propose(self, image: UInt8[ndarray, "height width 3"]) -> Int16[ndarray, "level height width"]:
        """Label maps of one photo, -1 = no mask."""
        with torch.inference_mode():
            return segment_everything(image, self._look_at, self._settings)


class SamProposer(_EverythingProposer):
    """Masks by SAM ViT-B, -L or -H, or a model of the same architecture such as MedSAM."""

    def __init__(
        self, checkpoint: Path, settings: EverythingSettings = EverythingSettings(), *,
        device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        """Load the checkpoint, .pth or .safetensors.

        Raises:
            ModelFileError: it is missing or holds something else.
            MissingDependencyError: segment_anything is not installed.
        """
        from vision3d.masks.sam_door import SamLook, load_sam

        look_at = SamLook(load_sam(checkpoint, device))
        super().__init__("sam", file_sha256(checkpoint)[:16], look_at, settings)


class Sam2Proposer(_EverythingProposer):
    """Masks by SAM 2 or 2.1 in transformers' layout."""

    def __init__(
        self, folder: Path, settings: EverythingSettings = EverythingSettings(), *, device: torch.device | str = "cpu"
    ) -> None:
        """Load the model from a folder with config.json and model.safetensors.

        Raises:
            ModelFileError: a file is missing or of something else.
            MissingDependencyError: transformers is not installed.
        """
        from vision3d.masks.sam2_door import WEIGHTS_NAME, Sam2Look, load_sam2

        look_at = Sam2Look(load_sam2(folder, device))
        super().__init__("sam2", file_sha256(folder / WEIGHTS_NAME)[:16], look_at, settings)
