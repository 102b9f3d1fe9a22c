"""EWA projection of 3D Gaussians to 2D splats, forward and hand-derived backward (one view).

Source: Zwicker et al., "EWA splatting" (2002), with the clamps of gsplat 1.5.3: the Jacobian sees x/z and y/z clamped
to the image rectangle widened by 0.3 x half the image on each side; the centre itself is not clamped.
"""

import math

import numpy as np
from numba import njit, prange

from vision3d.rendering.kernels.constants import (
    ALPHA_MIN,
    EXTENT_SIGMAS_MAX,
    FASTMATH,
    HALF,
    ONE,
    TWO,
    ZERO,
    float32,
)

_GUARD_BAND = float32(0.3)
_COMPENSATION_MIN = float32(1e-6)


@njit(cache=True, fastmath=FASTMATH, inline="always")
def _guard_limits(intrinsics, width, height):
    """Bounds of x/z and y/z inside the Jacobian: (x low, x high, y low, y high)."""
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    band_x = _GUARD_BAND * HALF * float32(width) / fx
    band_y = _GUARD_BAND * HALF * float32(height) / fy
    return (
        -(cx / fx + band_x),
        (float32(width) - cx) / fx + band_x,
        -(cy / fy + band_y),
        (float32(height) - cy) / fy + band_y,
    )


@njit(parallel=True, cache=True, fastmath=FASTMATH, error_model="numpy")
def project_forward(
    means, quats, scales, opacities, view, intrinsics, width, height, eps2d, near, far, radius_clip, antialiased,
    radii, means2d, depths, conics, compensations,
):  # fmt: skip
    """Fill radii [n 2], means2d [n 2], depths [n], conics [n 3], compensations [n]; all zero where culled."""
    r00, r01, r02, t0 = view[0, 0], view[0, 1], view[0, 2], view[0, 3]
    r10, r11, r12, t1 = view[1, 0], view[1, 1], view[1, 2], view[1, 3]
    r20, r21, r22, t2 = view[2, 0], view[2, 1], view[2, 2], view[2, 3]
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    x_low, x_high, y_low, y_high = _guard_limits(intrinsics, width, height)
    image_width, image_height = float32(width), float32(height)
    for n in prange(means.shape[0]):
        radii[n, 0] = 0
        radii[n, 1] = 0
        means2d[n, 0] = ZERO
        means2d[n, 1] = ZERO
        depths[n] = ZERO
        conics[n, 0] = ZERO
        conics[n, 1] = ZERO
        conics[n, 2] = ZERO
        compensations[n] = ZERO
        mx, my, mz = means[n, 0], means[n, 1], means[n, 2]
        z = r20 * mx + r21 * my + r22 * mz + t2
        if not (z >= near and z <= far):
            continue
        x = r00 * mx + r01 * my + r02 * mz + t0
        y = r10 * mx + r11 * my + r12 * mz + t1
        qw, qx, qy, qz = quats[n, 0], quats[n, 1], quats[n, 2], quats[n, 3]
        inverse_norm = ONE / math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
        qw *= inverse_norm
        qx *= inverse_norm
        qy *= inverse_norm
        qz *= inverse_norm
        s0, s1, s2 = scales[n, 0], scales[n, 1], scales[n, 2]
        # m = rotation x diag(scales): its outer product is the 3D covariance
        m00 = (ONE - TWO * (qy * qy + qz * qz)) * s0
        m01 = TWO * (qx * qy - qw * qz) * s1
        m02 = TWO * (qx * qz + qw * qy) * s2
        m10 = TWO * (qx * qy + qw * qz) * s0
        m11 = (ONE - TWO * (qx * qx + qz * qz)) * s1
        m12 = TWO * (qy * qz - qw * qx) * s2
        m20 = TWO * (qx * qz - qw * qy) * s0
        m21 = TWO * (qy * qz + qw * qx) * s1
        m22 = (ONE - TWO * (qx * qx + qy * qy)) * s2
        inverse_z = ONE / z
        slope_x = x * inverse_z
        slope_y = y * inverse_z
        tx = min(max(slope_x, x_low), x_high)
        ty = min(max(slope_y, y_low), y_high)
        j00 = fx * inverse_z
        j02 = -fx * tx * inverse_z
        j11 = fy * inverse_z
        j12 = -fy * ty * inverse_z
        # u, v: the two rows of Jacobian x world-to-camera rotation
        u0 = j00 * r00 + j02 * r20
        u1 = j00 * r01 + j02 * r21
        u2 = j00 * r02 + j02 * r22
        v0 = j11 * r10 + j12 * r20
        v1 = j11 * r11 + j12 * r21
        v2 = j11 * r12 + j12 * r22
        p0 = u0 * m00 + u1 * m10 + u2 * m20
        p1 = u0 * m01 + u1 * m11 + u2 * m21
        p2 = u0 * m02 + u1 * m12 + u2 * m22
        q0 = v0 * m00 + v1 * m10 + v2 * m20
        q1 = v0 * m01 + v1 * m11 + v2 * m21
        q2 = v0 * m02 + v1 * m12 + v2 * m22
        cov_xx = p0 * p0 + p1 * p1 + p2 * p2
        cov_xy = p0 * q0 + p1 * q1 + p2 * q2
        cov_yy = q0 * q0 + q1 * q1 + q2 * q2
        # det by the cross product of the rows: no cancellation for thin splats
        k0 = p1 * q2 - p2 * q1
        k1 = p2 * q0 - p0 * q2
        k2 = p0 * q1 - p1 * q0
        det_sharp = k0 * k0 + k1 * k1 + k2 * k2
        det = det_sharp + eps2d * (cov_xx + cov_yy) + eps2d * eps2d
        cov_xx += eps2d
        cov_yy += eps2d
        if not det > ZERO:
            continue
        compensation = math.sqrt(max(ZERO, det_sharp / det))
        opacity = opacities[n]
        if antialiased:
            opacity = opacity * compensation
        if not opacity >= ALPHA_MIN:
            continue
        extent = min(EXTENT_SIGMAS_MAX, math.sqrt(TWO * math.log(opacity / ALPHA_MIN)))
        radius_x = math.ceil(extent * math.sqrt(cov_xx))
        radius_y = math.ceil(extent * math.sqrt(cov_yy))
        if radius_x <= radius_clip and radius_y <= radius_clip:
            continue
        px = fx * slope_x + cx
        py = fy * slope_y + cy
        if (
            px + radius_x <= ZERO
            or px - radius_x >= image_width
            or py + radius_y <= ZERO
            or py - radius_y >= image_height
        ):
            continue
        radii[n, 0] = np.int32(min(radius_x, float32(1e9)))
        radii[n, 1] = np.int32(min(radius_y, float32(1e9)))
        means2d[n, 0] = px
        means2d[n, 1] = py
        depths[n] = z
        inverse_det = ONE / det
        conics[n, 0] = cov_yy * inverse_det
        conics[n, 1] = -cov_xy * inverse_det
        conics[n, 2] = cov_xx * inverse_det
        compensations[n] = compensation


@njit(parallel=True, cache=True, fastmath=FASTMATH, error_model="numpy")
def project_backward(
    means, quats, scales, view, intrinsics, width, height, eps2d, radii, conics, compensations,
    grad_means2d, grad_depths, grad_conics, grad_compensations, with_compensation, grad_means, grad_quats, grad_scales,
):  # fmt: skip
    """Add the gradients of one view to grad_means [n 3], grad_quats [n 4] and grad_scales [n 3]."""
    r00, r01, r02, t0 = view[0, 0], view[0, 1], view[0, 2], view[0, 3]
    r10, r11, r12, t1 = view[1, 0], view[1, 1], view[1, 2], view[1, 3]
    r20, r21, r22, t2 = view[2, 0], view[2, 1], view[2, 2], view[2, 3]
    fx, fy = intrinsics[0, 0], intrinsics[1, 1]
    x_low, x_high, y_low, y_high = _guard_limits(intrinsics, width, height)
    for n in prange(means.shape[0]):
        if radii[n, 0] <= 0:
            continue
        mx, my, mz = means[n, 0], means[n, 1], means[n, 2]
        x = r00 * mx + r01 * my + r02 * mz + t0
        y = r10 * mx + r11 * my + r12 * mz + t1
        z = r20 * mx + r21 * my + r22 * mz + t2
        qw, qx, qy, qz = quats[n, 0], quats[n, 1], quats[n, 2], quats[n, 3]
        inverse_norm = ONE / math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
        qw *= inverse_norm
        qx *= inverse_norm
        qy *= inverse_norm
        qz *= inverse_norm
        s0, s1, s2 = scales[n, 0], scales[n, 1], scales[n, 2]
        a00 = ONE - TWO * (qy * qy + qz * qz)
        a01 = TWO * (qx * qy - qw * qz)
        a02 = TWO * (qx * qz + qw * qy)
        a10 = TWO * (qx * qy + qw * qz)
        a11 = ONE - TWO * (qx * qx + qz * qz)
        a12 = TWO * (qy * qz - qw * qx)
        a20 = TWO * (qx * qz - qw * qy)
        a21 = TWO * (qy * qz + qw * qx)
        a22 = ONE - TWO * (qx * qx + qy * qy)
        inverse_z = ONE / z
        slope_x = x * inverse_z
        slope_y = y * inverse_z
        tx = min(max(slope_x, x_low), x_high)
        ty = min(max(slope_y, y_low), y_high)
        inside_x = tx == slope_x
        inside_y = ty == slope_y
        j00 = fx * inverse_z
        j02 = -fx * tx * inverse_z
        j11 = fy * inverse_z
        j12 = -fy * ty * inverse_z
        u0 = j00 * r00 + j02 * r20
        u1 = j00 * r01 + j02 * r21
        u2 = j00 * r02 + j02 * r22
        v0 = j11 * r10 + j12 * r20
        v1 = j11 * r11 + j12 * r21
        v2 = j11 * r12 + j12 * r22
        m00 = a00 * s0
        m01 = a01 * s1
        m02 = a02 * s2
        m10 = a10 * s0
        m11 = a11 * s1
        m12 = a12 * s2
        m20 = a20 * s0
        m21 = a21 * s1
        m22 = a22 * s2
        p0 = u0 * m00 + u1 * m10 + u2 * m20
        p1 = u0 * m01 + u1 * m11 + u2 * m21
        p2 = u0 * m02 + u1 * m12 + u2 * m22
        q0 = v0 * m00 + v1 * m10 + v2 * m20
        q1 = v0 * m01 + v1 * m11 + v2 * m21
        q2 = v0 * m02 + v1 * m12 + v2 * m22
        # conic = inverse(cov): d cov = -conic (d conic) conic, off-diagonal parts combined
        ca, cb, cc = conics[n, 0], conics[n, 1], conics[n, 2]
        g0, g1, g2 = grad_conics[n, 0], grad_conics[n, 1] * HALF, grad_conics[n, 2]
        h00 = ca * g0 + cb * g1
        h01 = ca * g1 + cb * g2
        h10 = cb * g0 + cc * g1
        h11 = cb * g1 + cc * g2
        w_xx = -(h00 * ca + h01 * cb)
        w_xy = -(h00 * cb + h01 * cc) - (h10 * ca + h11 * cb)
        w_yy = -(h10 * cb + h11 * cc)
        if with_compensation and compensations[n] > _COMPENSATION_MIN:
            # compensation^2 = sharp det / blurred det
            k0 = p1 * q2 - p2 * q1
            k1 = p2 * q0 - p0 * q2
            k2 = p0 * q1 - p1 * q0
            det_sharp = k0 * k0 + k1 * k1 + k2 * k2
            cov_xx = p0 * p0 + p1 * p1 + p2 * p2
            cov_xy = p0 * q0 + p1 * q1 + p2 * q2
            cov_yy = q0 * q0 + q1 * q1 + q2 * q2
            det = det_sharp + eps2d * (cov_xx + cov_yy) + eps2d * eps2d
            compensation = compensations[n]
            g = grad_compensations[n] * HALF / (compensation * det)
            ratio = compensation * compensation
            w_xx += g * (cov_yy - ratio * (cov_yy + eps2d))
            w_yy += g * (cov_xx - ratio * (cov_xx + eps2d))
            w_xy += g * (-TWO * cov_xy + ratio * TWO * cov_xy)
        gp0 = TWO * w_xx * p0 + w_xy * q0
        gp1 = TWO * w_xx * p1 + w_xy * q1
        gp2 = TWO * w_xx * p2 + w_xy * q2
        gq0 = TWO * w_yy * q0 + w_xy * p0
        gq1 = TWO * w_yy * q1 + w_xy * p1
        gq2 = TWO * w_yy * q2 + w_xy * p2
        gu0 = gp0 * m00 + gp1 * m01 + gp2 * m02
        gu1 = gp0 * m10 + gp1 * m11 + gp2 * m12
        gu2 = gp0 * m20 + gp1 * m21 + gp2 * m22
        gv0 = gq0 * m00 + gq1 * m01 + gq2 * m02
        gv1 = gq0 * m10 + gq1 * m11 + gq2 * m12
        gv2 = gq0 * m20 + gq1 * m21 + gq2 * m22
        n00 = u0 * gp0 + v0 * gq0
        n01 = u0 * gp1 + v0 * gq1
        n02 = u0 * gp2 + v0 * gq2
        n10 = u1 * gp0 + v1 * gq0
        n11 = u1 * gp1 + v1 * gq1
        n12 = u1 * gp2 + v1 * gq2
        n20 = u2 * gp0 + v2 * gq0
        n21 = u2 * gp1 + v2 * gq1
        n22 = u2 * gp2 + v2 * gq2
        gj00 = gu0 * r00 + gu1 * r01 + gu2 * r02
        gj02 = gu0 * r20 + gu1 * r21 + gu2 * r22
        gj11 = gv0 * r10 + gv1 * r11 + gv2 * r12
        gj12 = gv0 * r20 + gv1 * r21 + gv2 * r22
        inverse_z2 = inverse_z * inverse_z
        gx = fx * inverse_z * grad_means2d[n, 0]
        gy = fy * inverse_z * grad_means2d[n, 1]
        gz = (
            -fx * slope_x * inverse_z * grad_means2d[n, 0]
            - fy * slope_y * inverse_z * grad_means2d[n, 1]
            + grad_depths[n]
        )
        gz += -fx * inverse_z2 * gj00 - fy * inverse_z2 * gj11
        # j02 = -fx x / z^2 inside the guard band; -fx limit / z outside it
        if inside_x:
            gx += -fx * inverse_z2 * gj02
            gz += TWO * fx * tx * inverse_z2 * gj02
        else:
            gz += fx * tx * inverse_z2 * gj02
        if inside_y:
            gy += -fy * inverse_z2 * gj12
            gz += TWO * fy * ty * inverse_z2 * gj12
        else:
            gz += fy * ty * inverse_z2 * gj12
        grad_means[n, 0] += r00 * gx + r10 * gy + r20 * gz
        grad_means[n, 1] += r01 * gx + r11 * gy + r21 * gz
        grad_means[n, 2] += r02 * gx + r12 * gy + r22 * gz
        grad_scales[n, 0] += n00 * a00 + n10 * a10 + n20 * a20
        grad_scales[n, 1] += n01 * a01 + n11 * a11 + n21 * a21
        grad_scales[n, 2] += n02 * a02 + n12 * a12 + n22 * a22
        e00 = n00 * s0
        e01 = n01 * s1
        e02 = n02 * s2
        e10 = n10 * s0
        e11 = n11 * s1
        e12 = n12 * s2
        e20 = n20 * s0
        e21 = n21 * s1
        e22 = n22 * s2
        bw = TWO * (qx * (e21 - e12) + qy * (e02 - e20) + qz * (e10 - e01))
        bx = TWO * (-TWO * qx * (e11 + e22) + qy * (e01 + e10) + qz * (e02 + e20) + qw * (e21 - e12))
        by = TWO * (qx * (e01 + e10) - TWO * qy * (e00 + e22) + qz * (e12 + e21) + qw * (e02 - e20))
        bz = TWO * (qx * (e02 + e20) + qy * (e12 + e21) - TWO * qz * (e00 + e11) + qw * (e10 - e01))
        along = bw * qw + bx * qx + by * qy + bz * qz
        grad_quats[n, 0] += (bw - qw * along) * inverse_norm
        grad_quats[n, 1] += (bx - qx * along) * inverse_norm
        grad_quats[n, 2] += (by - qy * along) * inverse_norm
        grad_quats[n, 3] += (bz - qz * along) * inverse_norm
