"""The one door of this package to segment_anything: a SAM model from a checkpoint, and what answers points in a photo.

Which of the three sizes a checkpoint holds is read from its tensors. Weights are read without running any code of the
file; nothing is downloaded.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from safetensors import SafetensorError
from safetensors.torch import load_file

from vision3d.errors import MissingDependencyError, ModelFileError
from vision3d.masks.everything import Answer, AnswerPoints

_KINDS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
"""Width of the image encoder -> name of the architecture."""
_WIDTH_FROM = "image_encoder.pos_embed"
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError)


def load_sam(path: Path, device: torch.device | str = "cpu") -> Any:
    """The SAM model (ViT-B, -L or -H) whose weights `path` holds, a .pth or .safetensors file.

    Raises:
        ModelFileError: the file is missing, unreadable, or holds the weights of something else.
        MissingDependencyError: segment_anything is not installed.
    """
    try:
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise MissingDependencyError(
            "Expected segment_anything for SAM's masks, found it missing. Run: pip install 'vision3d-medseg[sam]'."
        ) from error
    state = _read_state(path)
    width = state[_WIDTH_FROM].shape[-1] if _WIDTH_FROM in state else None
    if width not in _KINDS:
        found = f"one of width {width}" if width else f"{len(state)} tensors without {_WIDTH_FROM}"
        raise ModelFileError(
            f"{path}: expected a SAM checkpoint (ViT-B, -L or -H, of width {', '.join(map(str, _KINDS))}), found "
            f"{found}. Give a file such as sam_vit_b_01ec64.pth."
        )
    model = sam_model_registry[_KINDS[width]]()
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ModelFileError(
            f"{path}: expected all tensors of SAM {_KINDS[width]}, found others: {str(error)[:300]} "
            "Give an unmodified checkpoint."
        ) from error
    return model.to(device).eval()


class SamLook:
    """Answers points in one photo after another."""

    def __init__(self, model: Any) -> None:
        from segment_anything import SamPredictor

        self.predictor: Any = SamPredictor(model)

    def __call__(self, image: UInt8[ndarray, "height width 3"]) -> AnswerPoints:
        """Encode a photo; the answer holds until the next photo is encoded."""
        self.predictor.set_image(image)
        return self._at_points

    def _at_points(self, points: Float[ndarray, "point 2"]) -> Answer:
        predictor = self.predictor
        placed = predictor.transform.apply_coords(points, predictor.original_size)
        coordinates = torch.as_tensor(placed, dtype=torch.float32, device=predictor.device)[:, None]
        labels = torch.ones(len(points), 1, dtype=torch.int, device=predictor.device)
        logits, believed, _ = predictor.predict_torch(coordinates, labels, multimask_output=True, return_logits=True)
        return logits, believed


def _read_state(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise ModelFileError(
            f"{path}: expected a SAM checkpoint (.pth or .safetensors), found a file that cannot be read as one "
            f"({type(error).__name__}: {str(error)[:200]}). Download sam_vit_b_01ec64.pth of segment-anything, or give "
            "the path of your own."
        ) from error
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelFileError(
            f"{path}: expected a table of tensors, found {type(content).__name__}. Give a SAM checkpoint."
        )
    return content
