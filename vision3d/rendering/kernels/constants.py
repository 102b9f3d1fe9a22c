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
STRIP = 8
"""A tile is two strips of 8 columns: one SIMD register of 8 floats holds a row of a strip."""
STRIP_PIXELS = STRIP * TILE
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
_EXPONENT_MIN = float32(-100.0)
"""Far below 1/255, far above where products become subnormal: those cost a processor a hundred times a product."""
_MANTISSA_BITS = int32(23)
_EXPONENT_BIAS = int32(127)
# Minimax coefficients of 2**f for |f| <= 1/2 (relative error 2e-7 in float32, as much as rounding brings).
_C1 = float32(0.6931469776)
_C2 = float32(0.2402224208)
_C3 = float32(0.05550733744)
_C4 = float32(0.009671512965)
_C5 = float32(0.00132647281)


@njit(inline="always")
def exp_negative(x):
    """exp(x) for x <= 0 in float32: 2**round(t) from exponent bits times a polynomial in the rest."""
    t = max(x * _LOG2_E, _EXPONENT_MIN)
    whole = int32(t - HALF)
    f = t - float32(whole)
    poly = ONE + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * _C5))))
    bits = int32((whole + _EXPONENT_BIAS) << _MANTISSA_BITS)
    return poly * bits.view(np.float32)
