"""Rendered images as files: PNG stills and animated WebP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vision3d.errors import InvalidInputError
from vlm_bridge.atomic_write import written_whole

_DEPTH_QUANTILES = (0.02, 0.98)


def to_bytes(image: Float[Tensor, "height width 3"]) -> NDArray[np.uint8]:
    """8-bit RGB of an image in 0-1; values outside are clamped."""
    return (image.detach().clamp(0.0, 1.0) * 255.0).round().byte().cpu().numpy()


def write_png(image: NDArray[np.uint8], path: str | Path) -> None:
    """Write an 8-bit RGB or grey image."""
    with written_whole(Path(path)) as partial, partial.open("wb") as file:
        Image.fromarray(image).save(file, format="PNG")


def write_animation(frames: Sequence[NDArray[np.uint8]], path: str | Path, *, frames_per_second: float = 20.0) -> None:
    """Write frames of one size as an endless animated WebP.

    Raises:
        InvalidInputError: there is no frame.
    """
    if not frames:
        raise InvalidInputError("write_animation: expected at least one frame, found none. Render some views first.")
    images = [Image.fromarray(frame) for frame in frames]
    with written_whole(Path(path)) as partial, partial.open("wb") as file:
        images[0].save(
            file,
            format="WEBP",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / frames_per_second),
            loop=0,
            quality=85,
        )


def depth_picture(depth: Float[Tensor, "height width"], alpha: Float[Tensor, "height width"]) -> NDArray[np.uint8]:
    """Grey picture of inverse depth, near = bright, black where nothing was hit; for looking at, not for measuring."""
    inverse = 1.0 / depth.detach().clamp_min(1e-6)
    hit = alpha.detach() > 0.5
    if not bool(hit.any()):
        return np.zeros(tuple(depth.shape), np.uint8)
    low, high = (float(inverse[hit].float().quantile(share)) for share in _DEPTH_QUANTILES)
    grey = ((inverse - low) / max(high - low, 1e-9)).clamp(0.0, 1.0) * hit
    return (grey * 255.0).round().byte().cpu().numpy()
