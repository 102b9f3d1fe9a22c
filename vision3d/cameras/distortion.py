"""Lens distortion of the OpenCV model (k1, k2, p1, p2) and its removal from photos.

Pixel centres: ours lie at +0.5, OpenCV's at whole numbers, so principal points are shifted by half a pixel at the
border between the two.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

_HALF = 0.5


def undistort(
    image: UInt8[np.ndarray, "height width channel"],
    intrinsics: Float[np.ndarray, "3 3"],
    distortion: Float[np.ndarray, " 4"],
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The photo without its distortion, at its own size, and the intrinsics of the pinhole that sees it so."""
    height, width = image.shape[:2]
    pinhole = pinhole_intrinsics(intrinsics, distortion, width, height)
    return undistort_image(image, intrinsics, distortion, pinhole), pinhole


def pinhole_intrinsics(
    intrinsics: Float[np.ndarray, "3 3"], distortion: Float[np.ndarray, " 4"], width: int, height: int
) -> NDArray[np.float64]:
    """Intrinsics of the largest pinhole view that shows no pixel from outside the distorted photo."""
    if not distortion.any():
        return np.asarray(intrinsics, np.float64)
    found, _ = cv2.getOptimalNewCameraMatrix(_to_opencv(intrinsics), distortion.astype(np.float64), (width, height), 0)
    result = np.array(found, np.float64)
    result[:2, 2] += _HALF
    return result


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
