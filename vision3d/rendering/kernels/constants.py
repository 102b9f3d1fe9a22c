"""Float32 constants and the vectorisable exponential shared by all kernels."""

import numpy as np
from numba import njit

from vision3d.rendering import renderer as rule

float32 = np.float32
int32 = np.int32
uint64 = np.uint64

TILE = 16
"""Tile edge in pixels."""
TILE_PIXELS = TILE * TILE
FASTMATH = {"contract", "nsz", "arcp", "reassoc"}

ZERO = float32(0.0)
HALF = float32(0.5)
ONE = float32(1.0)
TWO = float32(2.0)
ALPHA_MIN = float32(rule.ALPHA_MIN)
ALPHA_MAX = float32(rule.ALPHA_MAX)
TRANSMITTANCE_MIN = float32(rule.TRANSMITTANCE_MIN)
EXTENT_SIGMAS_MAX = float32(rule.EXTENT_SIGMAS_MAX)
QUADRATIC_SLACK = float32(1e-3)
"""Added to the ellipse bound 2 ln(255 o), so that rounding never culls a sample that counts."""
PIXEL_SLACK = float32(1e-2)

_LOG2_E = float32(1.4426950408889634)
_EXPONENT_MIN = float32(-126.0)
_MANTISSA_BITS = int32(23)
_EXPONENT_BIAS = int32(127)
# Taylor coefficients of 2**f; |f| <= 1/2 leaves a relative error of about 2e-7.
_C1 = float32(0.6931471805599453)
_C2 = float32(0.2402265069591007)
_C3 = float32(0.05550410866482158)
_C4 = float32(0.009618129107628477)
_C5 = float32(0.0013333558146428443)
_C6 = float32(0.00015403530393381608)


@njit(inline="always")
def exp_negative(x):
    """exp(x) for x <= 0 in float32: 2**round(t) from exponent bits times a polynomial in the rest."""
    t = max(x * _LOG2_E, _EXPONENT_MIN)
    whole = int32(t - HALF)
    f = t - float32(whole)
    poly = ONE + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
    bits = int32((whole + _EXPONENT_BIAS) << _MANTISSA_BITS)
    return poly * bits.view(np.float32)
