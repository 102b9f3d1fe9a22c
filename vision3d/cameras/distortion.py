"""Lens distortion of the OpenCV model (k1, k2, p1, p2) and its removal from photos.

Pixel centres: ours lie at +0.5, OpenCV's at whole numbers, so principal points are shifted by half a pixel at the
border between the two.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from vision3d.errors import InvalidInputError

_HALF = 0.5
_ZOOM_STEP = 1.01
_ZOOM_STEPS = 70
_FOLD_SAMPLES = 64


def undistort(
    image: UInt8[np.ndarray, "height width channel"],
    intrinsics: Float[np.ndarray, "3 3"],
    distortion: Float[np.ndarray, " 4"],
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The photo without its distortion, at its own size, and the intrinsics of the pinhole that sees it so.

    Raises:
        InvalidInputError: the lens folds the photo over itself.
    """
    height, width = image.shape[:2]
    pinhole = pinhole_intrinsics(intrinsics, distortion, width, height)
    return undistort_image(image, intrinsics, distortion, pinhole), pinhole


def pinhole_intrinsics(
    intrinsics: Float[np.ndarray, "3 3"], distortion: Float[np.ndarray, " 4"], width: int, height: int
) -> NDArray[np.float64]:
    """Intrinsics of the largest pinhole view whose pixel centres all lie inside the distorted photo.

    Raises:
        InvalidInputError: the lens folds most of the photo over itself, so that no such view exists.
    """
    if not distortion.any():
        return np.asarray(intrinsics, np.float64)
    found, _ = cv2.getOptimalNewCameraMatrix(_to_opencv(intrinsics), distortion.astype(np.float64), (width, height), 0)
    result = np.array(found, np.float64)
    result[:2, 2] += _HALF
    middle = np.array([width, height]) / 2.0
    border = _border_centres(width, height)
    # OpenCV looks at a coarse grid of points and at no folds; strong lenses need more zoom than it finds
    for _ in range(_ZOOM_STEPS):
        if np.isfinite(result).all() and _sees_inside(border, result, intrinsics, distortion):
            return result
        result[:2, :2] *= _ZOOM_STEP
        result[:2, 2] = (result[:2, 2] - middle) * _ZOOM_STEP + middle
    k1, k2, p1, p2 = (f"{term:.4g}" for term in distortion)
    raise InvalidInputError(
        f"expected a lens whose distortion can be undone, found k1={k1}, k2={k2}, p1={p1}, p2={p2} at focal length "
        f"{intrinsics[0, 0]:.4g} of {width}x{height} pixels, which folds the photo over itself. "
        "Calibrate the camera again, or remove the view."
    )


def _border_centres(width: int, height: int) -> NDArray[np.float64]:
    x, y = np.arange(width) + _HALF, np.arange(height) + _HALF
    sides = [(x, np.full(width, edge)) for edge in (_HALF, height - _HALF)]
    sides += [(np.full(height, edge), y) for edge in (_HALF, width - _HALF)]
    return np.concatenate([np.stack(side, 1) for side in sides])


def _sees_inside(
    pixels: Float[np.ndarray, "pixel 2"],
    pinhole: Float[np.ndarray, "3 3"],
    intrinsics: Float[np.ndarray, "3 3"],
    distortion: Float[np.ndarray, " 4"],
) -> bool:
    """Whether these border pixels of the pinhole view all lie in the distorted photo, short of any fold of the lens."""
    rays = (pixels - pinhole[:2, 2]) / np.diag(pinhole)[:2]
    r2 = np.linspace(0.0, (rays**2).sum(1).max(), _FOLD_SAMPLES)
    stretch = 1.0 + 3.0 * distortion[0] * r2 + 5.0 * distortion[1] * r2 * r2  # d/dr of r (1 + k1 r^2 + k2 r^4)
    if stretch.min() <= 0.0:
        return False
    bent = distort_points(rays, distortion)
    source = bent * np.diag(intrinsics)[:2] + intrinsics[:2, 2]
    size = pixels.max(0) + _HALF
    return bool((source >= 0.0).all() and (source <= size).all())


def undistort_image(
    image: UInt8[np.ndarray, "height width channel"],
    intrinsics: Float[np.ndarray, "3 3"],
    distortion: Float[np.ndarray, " 4"],
    pinhole: Float[np.ndarray, "3 3"],
) -> NDArray[np.uint8]:
    """The photo as a pinhole camera with intrinsics `pinhole` (same size) would have taken it; Lanczos resampling."""
    height, width = image.shape[:2]
    columns, rows = cv2.initUndistortRectifyMap(
        _to_opencv(intrinsics),
        distortion.astype(np.float64),
        np.eye(3),
        _to_opencv(pinhole),
        (width, height),
        cv2.CV_32FC1,
    )
    result = cv2.remap(image, columns, rows, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(result, np.uint8).reshape(image.shape)


def distort_points(points: Float[np.ndarray, "point 2"], distortion: Float[np.ndarray, " 4"]) -> NDArray[np.float64]:
    """Distorted normalised image coordinates (x/z, y/z) of undistorted ones.

    Example:
        >>> distort_points(np.array([[0.5, 0.0]]), np.array([0.4, 0.0, 0.0, 0.0])).tolist()  # 0.5 (1 + 0.4 * 0.25)
        [[0.55, 0.0]]

    Source: OpenCV's camera model without k3 and higher terms, the same as COLMAP's OPENCV.
    """
    k1, k2, p1, p2 = distortion
    x, y = np.asarray(points, np.float64).T
    r2 = x * x + y * y
    radial = 1.0 + k1 * r2 + k2 * r2 * r2
    return np.stack(
        [
            x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        ],
        1,
    )


def _to_opencv(intrinsics: np.ndarray) -> NDArray[np.float64]:
    shifted = np.array(intrinsics, np.float64)
    shifted[:2, 2] -= _HALF
    return shifted
