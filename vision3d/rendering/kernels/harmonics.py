"""Real spherical harmonics of degree 0-3 as RGB colour, forward and backward, in the sign convention of 3DGS files.

Source: Sloan, "Efficient spherical harmonic evaluation" (2013), for the constants.
"""

import math

import numpy as np
from numba import njit, prange

from vision3d.rendering.kernels.constants import FASTMATH, HALF, ONE, ZERO, float32

_C0 = float32(0.28209479177387814)
_C1 = float32(0.4886025119029199)
_C2_A = float32(1.0925484305920792)
_C2_B = float32(0.31539156525252005)
_C2_C = float32(0.5462742152960396)
_C3_A = float32(0.5900435899266435)
_C3_B = float32(2.890611442640554)
_C3_C = float32(0.4570457994644658)
_C3_D = float32(0.3731763325901154)
_C3_E = float32(1.445305721320277)
_TWO = float32(2.0)
_THREE = float32(3.0)
_FOUR = float32(4.0)
_FIVE = float32(5.0)
_SIX = float32(6.0)
_EIGHT = float32(8.0)


@njit(cache=True, fastmath=FASTMATH, inline="always")
def _basis(x, y, z, degree, basis):
    basis[0] = _C0
    if degree > 0:
        basis[1] = -_C1 * y
        basis[2] = _C1 * z
        basis[3] = -_C1 * x
    if degree > 1:
        basis[4] = _C2_A * x * y
        basis[5] = -_C2_A * y * z
        basis[6] = _C2_B * (_TWO * z * z - x * x - y * y)
        basis[7] = -_C2_A * x * z
        basis[8] = _C2_C * (x * x - y * y)
    if degree > 2:
        basis[9] = -_C3_A * y * (_THREE * x * x - y * y)
        basis[10] = _C3_B * x * y * z
        basis[11] = -_C3_C * y * (_FOUR * z * z - x * x - y * y)
        basis[12] = _C3_D * z * (_TWO * z * z - _THREE * x * x - _THREE * y * y)
        basis[13] = -_C3_C * x * (_FOUR * z * z - x * x - y * y)
        basis[14] = _C3_E * z * (x * x - y * y)
        basis[15] = -_C3_A * x * (x * x - _THREE * y * y)


@njit(cache=True, fastmath=FASTMATH, inline="always")
def _basis_gradient(x, y, z, degree, weights):
    """Gradient of sum_k weights[k] basis_k(x, y, z), the polynomials taken in free x, y, z."""
    gx = ZERO
    gy = ZERO
    gz = ZERO
    if degree > 0:
        gy -= _C1 * weights[1]
        gz += _C1 * weights[2]
        gx -= _C1 * weights[3]
    if degree > 1:
        w4, w5, w6, w7, w8 = weights[4], weights[5], weights[6], weights[7], weights[8]
        gx += _C2_A * (y * w4 - z * w7) - _TWO * _C2_B * x * w6 + _TWO * _C2_C * x * w8
        gy += _C2_A * (x * w4 - z * w5) - _TWO * _C2_B * y * w6 - _TWO * _C2_C * y * w8
        gz += -_C2_A * (y * w5 + x * w7) + _FOUR * _C2_B * z * w6
    if degree > 2:
        w9, w10, w11, w12 = weights[9], weights[10], weights[11], weights[12]
        w13, w14, w15 = weights[13], weights[14], weights[15]
        gx += -_SIX * _C3_A * x * y * w9 + _C3_B * y * z * w10 + _TWO * _C3_C * x * y * w11
        gx += -_SIX * _C3_D * x * z * w12 - _C3_C * (_FOUR * z * z - _THREE * x * x - y * y) * w13
        gx += _TWO * _C3_E * x * z * w14 - _THREE * _C3_A * (x * x - y * y) * w15
        gy += -_THREE * _C3_A * (x * x - y * y) * w9 + _C3_B * x * z * w10
        gy += -_C3_C * (_FOUR * z * z - x * x - _THREE * y * y) * w11 - _SIX * _C3_D * y * z * w12
        gy += _TWO * _C3_C * x * y * w13 - _TWO * _C3_E * y * z * w14 + _SIX * _C3_A * x * y * w15
        gz += _C3_B * x * y * w10 - _EIGHT * _C3_C * y * z * w11
        gz += _C3_D * (_SIX * z * z - _THREE * x * x - _THREE * y * y) * w12
        gz += -_EIGHT * _C3_C * x * z * w13 + _C3_E * (x * x - y * y) * w14
    return gx, gy, gz


@njit(parallel=True, cache=True, fastmath=FASTMATH, error_model="numpy")
def harmonics_forward(sh, means, centre, degree, colours):
    """colours[n] = max(SH(direction of means[n] from centre) + 0.5, 0)."""
    bands = (degree + 1) * (degree + 1)
    for n in prange(means.shape[0]):
        basis = np.empty(16, np.float32)
        x, y, z = means[n, 0] - centre[0], means[n, 1] - centre[1], means[n, 2] - centre[2]
        length = math.sqrt(x * x + y * y + z * z)
        inverse = ONE / length if length > ZERO else ZERO
        _basis(x * inverse, y * inverse, z * inverse, degree, basis)
        for c in range(3):
            value = HALF
            for k in range(bands):
                value += basis[k] * sh[n, k, c]
            colours[n, c] = max(value, ZERO)


@njit(parallel=True, cache=True, fastmath=FASTMATH, error_model="numpy")
def harmonics_backward(sh, means, centre, degree, colours, grad_colours, with_means, grad_sh, grad_means):
    """Add the gradients of one view to grad_sh [n k 3] and, when asked, grad_means [n 3]."""
    bands = (degree + 1) * (degree + 1)
    for n in prange(means.shape[0]):
        g0 = grad_colours[n, 0] if colours[n, 0] > ZERO else ZERO
        g1 = grad_colours[n, 1] if colours[n, 1] > ZERO else ZERO
        g2 = grad_colours[n, 2] if colours[n, 2] > ZERO else ZERO
        if g0 == ZERO and g1 == ZERO and g2 == ZERO:
            continue
        basis = np.empty(16, np.float32)
        x, y, z = means[n, 0] - centre[0], means[n, 1] - centre[1], means[n, 2] - centre[2]
        length = math.sqrt(x * x + y * y + z * z)
        inverse = ONE / length if length > ZERO else ZERO
        x *= inverse
        y *= inverse
        z *= inverse
        _basis(x, y, z, degree, basis)
        for k in range(bands):
            grad_sh[n, k, 0] += basis[k] * g0
            grad_sh[n, k, 1] += basis[k] * g1
            grad_sh[n, k, 2] += basis[k] * g2
        if with_means and degree > 0:
            for k in range(bands):
                basis[k] = sh[n, k, 0] * g0 + sh[n, k, 1] * g1 + sh[n, k, 2] * g2
            gx, gy, gz = _basis_gradient(x, y, z, degree, basis)
            along = gx * x + gy * y + gz * z
            grad_means[n, 0] += (gx - along * x) * inverse
            grad_means[n, 1] += (gy - along * y) * inverse
            grad_means[n, 2] += (gz - along * z) * inverse
