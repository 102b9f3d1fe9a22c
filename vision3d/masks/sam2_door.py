"""Segment Anything 2 through transformers: a model from a folder, and what answers points in a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import interpolate

from vision3d.errors import MissingDependencyError, ModelFileError
from vision3d.masks.everything import Answer, AnswerPoints

CONFIG_NAME, WEIGHTS_NAME = "config.json", "model.safetensors"
_KINDS = {"sam2", "sam2_video"}
"""Model types whose image half this is: the published checkpoints carry the video model's."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, SafetensorError)


def load_sam2(folder: Path, device: torch.device | str = "cpu") -> Any:
    """The image half of the SAM 2 model in `folder`, of config.json and model.safetensors.

    Raises:
        ModelFileError: a file is missing, unreadable or of another model.
        MissingDependencyError: transformers is not installed, or too old for SAM 2.
    """
    try:
        from transformers import AutoConfig, Sam2Model
    except ImportError as error:
        raise MissingDependencyError(
            "Expected transformers with SAM 2 (4.57 or newer), found none. Run: pip install 'vision3d-medseg[sam]'."
        ) from error
    missing = [name for name in (CONFIG_NAME, WEIGHTS_NAME) if not (folder / name).is_file()]
    if missing:
        raise ModelFileError(
            f"{folder}: expected a SAM 2 model ({CONFIG_NAME}, {WEIGHTS_NAME}), found no {' and no '.join(missing)}. "
            "Download a model such as facebook/sam2.1-hiera-tiny into a folder and name it."
        )
    try:
        kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
        if kind not in _KINDS:
            raise ModelFileError(f"{folder}: expected a model of type sam2, found {kind}. Give a folder of SAM 2.")
        loaded: Any = Sam2Model.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
        model, report = loaded
    except _UNREADABLE as error:
        raise ModelFileError(
            f"{folder}: expected a SAM 2 model, found files that do not load as one "
            f"({type(error).__name__}: {str(error)[:200]}). Download the model again."
        ) from error
    if report["missing_keys"]:
        some = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelFileError(
            f"{folder / WEIGHTS_NAME}: expected all tensors of SAM 2, found {len(report['missing_keys'])} missing "
            f"({some}, ...). Download the model again."
        )
    return model.to(device).eval()


class Sam2Look:
    """Answers points in one photo after another."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._side = int(model.config.vision_config.backbone_config.image_size[0])

    def __call__(self, image: UInt8[ndarray, "height width 3"]) -> AnswerPoints:
        """Encode a photo; it is stretched to the model's square."""
        embeddings = self._model.get_image_embeddings(self._pixels(image))
        height, width = image.shape[:2]

        def at_points(points: Float[ndarray, "point 2"]) -> Answer:
            placed = torch.as_tensor(points, dtype=torch.float32) * torch.tensor(
                [self._side / width, self._side / height]
            )
            placed = placed[None, :, None].to(self._model.device)
            labels = torch.ones(placed.shape[:3], dtype=torch.int, device=self._model.device)
            answer = self._model(
                input_points=placed, input_labels=labels, image_embeddings=embeddings, multimask_output=True
            )
            logits = interpolate(answer.pred_masks[0].float(), (height, width), mode="bilinear", align_corners=False)
            return logits, answer.iou_scores[0].float()

        return at_points

    def _pixels(self, image: UInt8[ndarray, "height width 3"]) -> Float32[Tensor, "1 3 side side"]:
        device = self._model.device
        values = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
        values = interpolate(values, (self._side, self._side), mode="bilinear", align_corners=False, antialias=True)
        mean, deviation = (torch.tensor(numbers, device=device)[:, None, None] for numbers in (_MEAN, _DEVIATION))
        return (values - mean) / deviation
