"""Byte encodings that several splat formats share: opacity and colour in eight bits.

All of them store opacity as round(255 x opacity) and base colour as round(255 x colour), colour = 0.5 + SH_C0 x dc.
"""

from __future__ import annotations

import numpy as np

from vision3d.scene.gaussian_scene import SH_C0

_OPACITY_MARGIN = 0.25 / 255.0
"""Bytes 0 and 255 stand for opacities up to half a step away; a quarter step is the middle of that interval."""


def opacity_logits_from_bytes(opacity: np.ndarray) -> np.ndarray:
    """Opacity logits in float32 of opacity bytes, always finite.

    Byte 255 becomes 254.75 / 255 (logit 6.93) and byte 0 becomes 0.25 / 255 (logit -6.93), so that encoding the result
    gives the same bytes again.
    """
    clipped = np.clip(opacity / 255.0, _OPACITY_MARGIN, 1.0 - _OPACITY_MARGIN)
    return np.log(clipped / (1.0 - clipped)).astype(np.float32)


def bytes_from_opacity_logits(logits: np.ndarray) -> np.ndarray:
    """Opacity bytes, rounded to the nearest; infinite logits give 0 and 255."""
    with np.errstate(over="ignore"):
        opacity = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
    return np.rint(255.0 * opacity).astype(np.uint8)


def base_sh_from_colours(colours: np.ndarray) -> np.ndarray:
    """Constant SH coefficients in float32 of colours in 0-1."""
    return ((colours - 0.5) / SH_C0).astype(np.float32)


def colour_bytes_from_base_sh(base_sh: np.ndarray) -> np.ndarray:
    """Colour bytes of constant SH coefficients, clipped to 0-255 and rounded to the nearest."""
    return np.rint(255.0 * np.clip(0.5 + SH_C0 * base_sh.astype(np.float64), 0.0, 1.0)).astype(np.uint8)
