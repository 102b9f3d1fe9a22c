"""`PictureFit`: how a picture of any size becomes the square a mask decoder reads, and how its logits come back.

Each checkpoint of a decoder has its own rule (SAM keeps the aspect and pads, MedSAM stretches), so the rule is stored
with it. Coordinates: pixel centres lie at +0.5, so enlarging never shifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import interpolate, pad

from medseg.errors import InvalidInputError

SAM_MEAN = (123.675, 116.28, 103.53)
"""Mean of red, green and blue that SAM's encoder was trained with, 0-255."""
SAM_STD = (58.395, 57.12, 57.375)
"""Standard deviations beside `SAM_MEAN`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFit:
    """The preprocessing of one mask decoder, part of its checkpoint."""

    side: int
    """Pixels along each side of the square."""
    aspect: Literal["keep", "stretch"] = "keep"
    """keep: the longer side fills the square, zeros at the right and below; stretch: both sides do."""
    values: Literal["normalised", "picture_range"] = "normalised"
    """normalised: mean and standard deviation below, of values 0-255; picture_range: each picture from its smallest to
    its largest value becomes 0-1 (MedSAM)."""
    mean: tuple[float, float, float] = SAM_MEAN
    std: tuple[float, float, float] = SAM_STD

    def __post_init__(self) -> None:
        known = self.aspect in ("keep", "stretch") and self.values in ("normalised", "picture_range")
        if self.side < 16 or not known or min(self.std) <= 0:
            raise InvalidInputError(
                f"PictureFit: expected a side of 16 and more, aspect keep or stretch, values normalised or "
                f"picture_range and positive deviations, found {self.side}, {self.aspect!r}, {self.values!r} and "
                f"{self.std}. Correct the checkpoint's configuration."
            )

    def fitted_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the picture inside the square.

        Example:
            >>> PictureFit(side=1024).fitted_size(500, 1000), PictureFit(side=256, aspect="stretch").fitted_size(9, 5)
            ((512, 1024), (256, 256))
        """
        if self.aspect == "stretch":
            return self.side, self.side
        scale = self.side / max(height, width)
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def fit(self, picture: UInt8[ndarray, "height width 3"]) -> Float[Tensor, "3 side side"]:
        """The picture as the encoder reads it.

        Raises:
            InvalidInputError: it is not RGB of 0-255, or has no pixel.
        """
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise InvalidInputError(
                f"Picture: expected uint8 [height width 3] with pixels, found {picture.dtype} of shape "
                f"{picture.shape}. Convert it to RGB of 0-255."
            )
        values = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
        size = self.fitted_size(*picture.shape[:2])
        values = interpolate(values, size, mode="bilinear", align_corners=False, antialias=True)[0]
        if self.values == "picture_range":
            low, high = values.min(), values.max()
            values = (values - low) / (high - low).clamp(min=1e-8)
        else:
            values = (values - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[:, None, None]
        return pad(values, (0, self.side - size[1], 0, self.side - size[0]))

    def back(self, logits: Float[Tensor, "token h w"], height: int, width: int) -> Float[Tensor, "token height width"]:
        """Logits of the square on the pixels of the picture they were made from."""
        if not len(logits):
            return logits.new_zeros((0, height, width))
        square = interpolate(logits[None], (self.side, self.side), mode="bilinear", align_corners=False)
        inside = self.fitted_size(height, width)
        cut = square[..., : inside[0], : inside[1]]
        return interpolate(cut, (height, width), mode="bilinear", align_corners=False)[0]
