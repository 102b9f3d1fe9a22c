"""`DecoderView`: what a mask decoder is given of a picture in training, whole or a window at twice the resolution.

Inference decodes thin and small targets in windows (`PictureDecoder`); so they are learned in windows, one per picture
and pass, drawn around one of them. Masks lie on the decoder's own grid, as the share of each of its pixels that is
inside; the padding beside a picture is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from medseg.errors import InvalidInputError
from medseg.grounding.decode_picture import FINE_FACTOR
from medseg.grounding.mask_decoder import MaskDecoder
from medseg.grounding.picture_fit import PictureFit
from medseg.training.losses import IGNORED

Rng = np.random.Generator
EARLIER_LOGIT = 6.0
"""An earlier mask is given as logits of this size, as in inference."""
OUTSIDE_LOGIT = -8.0
"""And beside the picture."""
_AROUND_TARGET = 0.8
"""Share of windows that are drawn around a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderView:
    """A square of a picture at some scale."""

    fit: PictureFit
    """How the picture is scaled; for windows its side is a multiple of the decoder's."""
    side: int
    """Of the decoder's square."""
    corner: tuple[int, int] = (0, 0)
    """Row and column of the square in the scaled picture."""

    def picture(self, picture: UInt8[ndarray, "height width 3"]) -> Float[Tensor, "3 side side"]:
        """The square as the decoder reads it."""
        row, column = self.corner
        return self.fit.fit(picture)[:, row : row + self.side, column : column + self.side].contiguous()

    def mask(
        self, mask: Bool[ndarray, "height width"], grid: int, ignored: Bool[ndarray, "height width"] | None = None
    ) -> Float[Tensor, "grid grid"]:
        """Share of each pixel of the decoder's grid that is inside; `IGNORED` beside the picture and where asked."""
        inside, known = self._square(mask)
        if ignored is not None:
            known = known * (1 - self._square(ignored)[0])
            inside = torch.minimum(inside, known)
        step = self.side // grid
        share, seen = (avg_pool2d(one[None, None], step)[0, 0] for one in (inside, known))
        return torch.where(seen < 0.5, IGNORED, share / seen.clamp(min=1e-6))

    def earlier(self, mask: Bool[ndarray, "height width"], grid: int) -> Float[Tensor, "grid grid"]:
        """An earlier mask as logits."""
        share = self.mask(mask, grid)
        return torch.where(share == IGNORED, OUTSIDE_LOGIT, (2 * share - 1) * EARLIER_LOGIT)

    def _square(self, mask: Bool[ndarray, "height width"]) -> tuple[Tensor, Tensor]:
        size = self.fit.fitted_size(*mask.shape)
        (row, column), side = self.corner, self.side
        drawn = scaled_mask(mask, size)[row : row + side, column : column + side]
        inside, known = torch.zeros(side, side), torch.zeros(side, side)
        inside[: drawn.shape[0], : drawn.shape[1]] = drawn
        known[: drawn.shape[0], : drawn.shape[1]] = 1
        return inside, known


def whole_view(fit: PictureFit) -> DecoderView:
    """The whole picture in one square."""
    return DecoderView(fit=fit, side=fit.side)


def window_view(
    fit: PictureFit, size: tuple[int, int], targets: Sequence[Bool[ndarray, "height width"]], rng: Rng
) -> DecoderView:
    """A window of a picture of `size` (height, width) at twice the resolution, most often around one of the targets."""
    large = replace(fit, side=FINE_FACTOR * fit.side)
    scaled = large.fitted_size(*size)
    spare = [max(0, length - fit.side) for length in scaled]
    places = rng.random(2)
    filled = [mask for mask in targets if mask.any()]
    if filled and rng.random() < _AROUND_TARGET:
        rows, columns = np.nonzero(filled[int(rng.integers(len(filled)))])
        chosen = int(rng.integers(len(rows)))
        middle = (rows[chosen] / size[0] * scaled[0], columns[chosen] / size[1] * scaled[1])
        corner = [int(at - place * fit.side) for at, place in zip(middle, places, strict=True)]
    else:
        corner = [int(place * (most + 1)) for place, most in zip(places, spare, strict=True)]
    row, column = (min(max(0, at), most) for at, most in zip(corner, spare, strict=True))
    return DecoderView(fit=large, side=fit.side, corner=(row, column))


def scaled_mask(mask: Bool[ndarray, "height width"], size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """The mask at another size, as shares: means of areas where it shrinks."""
    values = torch.from_numpy(np.ascontiguousarray(mask))[None, None].float()
    if size[0] <= mask.shape[0] and size[1] <= mask.shape[1]:
        return interpolate(values, size, mode="area")[0, 0]
    return interpolate(values, size, mode="bilinear", align_corners=False, antialias=True)[0, 0]


def is_fine(mask: Float[Tensor, "grid grid"], share: float) -> bool:
    """Whether less than `share` of a mask on the decoder's grid is left without the pixels at its border.

    Example:
        >>> disc, line = torch.zeros(9, 9), torch.zeros(9, 9)
        >>> disc[1:8, 1:8] = line[4] = 1.0
        >>> is_fine(disc, 0.35), is_fine(line, 0.35)
        (False, True)
    """
    known = mask != IGNORED
    inside = ((mask > 0.5) & known).float()
    if not ((mask > 0) & known).any():
        return False
    outside = max_pool2d(torch.where(known, 1 - inside, 0.0)[None, None], 3, 1, 1)[0, 0]
    return bool((inside * (1 - outside)).sum() < share * inside.sum().clamp(min=1))


def decoder_grid(decoder: MaskDecoder) -> int:
    """Pixels along each side of a decoder's masks, found by decoding an empty picture.

    Raises:
        InvalidInputError: it does not divide the side of the decoder's square.
    """
    module: Any = decoder
    side, like = decoder.fit.side, next(iter(module.parameters()))
    modes = {one: one.training for one in module.modules()}
    module.eval()
    with torch.no_grad():
        encoded = decoder.encode(like.new_zeros(1, 3, side, side))
        place = torch.zeros(1, dtype=torch.long, device=like.device)
        grid = decoder.decode(encoded, place, like.new_zeros(1, decoder.prompt_width)).logits.shape[-1]
    for one, training in modes.items():
        one.training = training
    if side % grid:
        raise InvalidInputError(
            f"Mask decoder: expected a grid that divides its side of {side}, found {grid}. Use another side."
        )
    return grid
