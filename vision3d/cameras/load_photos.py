"""`load_photos`: posed photos decoded, undistorted and brought to one size."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.distortion import pinhole_intrinsics, undistort_image
from vision3d.cameras.posed_photos import Photos, PosedPhotos
from vision3d.errors import ImageFileError, InvalidInputError

_log = logging.getLogger(__name__)
_ASPECT_TOLERANCE = 0.01
_OVERSAMPLING = 3


def load_photos(
    posed: PosedPhotos,
    *,
    max_side: int | None = None,
    background: Sequence[float] = (1.0, 1.0, 1.0),
    workers: int = 2,
) -> Photos:
    """The photos of `posed` as pinhole views of one size.

    Photos are reduced by area averaging and never enlarged; distortion is removed on the way, at three times the final
    size (or at the photo's own where that is smaller), so that resampling costs no sharpness. A photo stored
    smaller or larger than its camera says keeps its pixels and gets scaled intrinsics. EXIF rotation is not
    applied: camera files speak of the pixels as stored.

    Args:
        posed: views from a reader.
        max_side: longest side wanted in pixels; None keeps the size.
        background: RGB in 0-1 behind photos with alpha.
        workers: photos decoded at a time.

    Raises:
        ImageFileError: a photo cannot be decoded or does not fit its camera; views differ in shape.
    """
    if max_side is not None and max_side < 1:
        raise InvalidInputError(f"load_photos: expected max_side of at least 1 pixel, found {max_side}. Raise it.")
    size = _common_size(posed, max_side)
    rows = range(len(posed.cameras))
    with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
        loaded = list(pool.map(lambda row: _load_view(posed, row, size), rows))
    if any(image.shape[2] == 4 for image, _ in loaded):
        loaded = [(_with_alpha(image), matrix) for image, matrix in loaded]
    pixels = np.stack([image for image, _ in loaded])
    intrinsics = torch.tensor(np.stack([matrix for _, matrix in loaded]), dtype=torch.float32)
    cameras = CameraBatch(
        world_to_camera=posed.cameras.world_to_camera,
        intrinsics=intrinsics,
        image_sizes=torch.tensor([size] * len(loaded)),
        names=posed.cameras.names,
    )
    if pixels.shape[-1] == 3:
        return Photos(cameras=cameras, images=torch.from_numpy(pixels), alpha=None, valid=None)
    return Photos(
        cameras=cameras,
        images=torch.from_numpy(_composite(pixels, background)),
        alpha=torch.from_numpy(pixels[..., 3].copy()),
        valid=None,
    )


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """RGB pixels of a photo as stored (RGBA where some are not opaque), 8 bits a channel.

    16-bit files are scaled, grey is repeated.

    Raises:
        ImageFileError: the file is missing, cut or not an image.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode.startswith(("I", "F")):
                return _from_high_depth(np.asarray(image, np.float64))
            if "A" not in image.getbands() and "transparency" not in image.info:
                return np.asarray(image.convert("RGB"))
            pixels = np.asarray(image.convert("RGBA"))
            return pixels if (pixels[..., 3] < 255).any() else np.ascontiguousarray(pixels[..., :3])
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageFileError(
            f"{path}: expected a photo, found one that cannot be decoded ({error}). Copy it again or remove it."
        ) from error


def _from_high_depth(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    top = 255.0 if values.max(initial=0.0) <= 255.0 else 65_535.0
    grey = np.clip(np.round(values * (255.0 / top)), 0, 255).astype(np.uint8)
    return np.dstack([grey, grey, grey])


def _with_alpha(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def _common_size(posed: PosedPhotos, max_side: int | None) -> tuple[int, int]:
    sizes = Counter((int(width), int(height)) for width, height in posed.cameras.image_sizes.tolist())
    (width, height), _ = sizes.most_common(1)[0]
    for other in sizes:
        if abs(other[0] / other[1] * height / width - 1.0) > _ASPECT_TOLERANCE:
            raise ImageFileError(
                f"expected photos of one shape, found {width}x{height} and {other[0]}x{other[1]}. "
                "Crop or split the scene so that all photos have the same aspect ratio."
            )
    if len(sizes) > 1:
        _log.info("photos of %d sizes are all brought to %dx%d", len(sizes), width, height)
    factor = 1.0 if max_side is None else min(1.0, max_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _load_view(posed: PosedPhotos, row: int, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    path = posed.image_paths[row]
    pixels = read_pixels(path)
    stated = posed.cameras.image_sizes[row].tolist()
    found = (pixels.shape[1], pixels.shape[0])
    intrinsics = _scaled(posed.cameras.intrinsics[row].double().numpy(), _factors(path, stated, found))
    distortion = posed.distortion[row].double().numpy()
    if distortion.any():
        middle = (min(found[0], _OVERSAMPLING * size[0]), min(found[1], _OVERSAMPLING * size[1]))
        pixels = _resize(pixels, middle)
        intrinsics = _scaled(intrinsics, (middle[0] / found[0], middle[1] / found[1]))
        pinhole = pinhole_intrinsics(intrinsics, distortion, *middle)
        pixels = undistort_image(pixels, intrinsics, distortion, pinhole)
        intrinsics, found = pinhole, middle
    return _resize(pixels, size), _scaled(intrinsics, (size[0] / found[0], size[1] / found[1]))


def _resize(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    method = cv2.INTER_AREA if width >= size[0] and height >= size[1] else cv2.INTER_CUBIC
    if pixels.shape[2] == 3:
        return cv2.resize(pixels, size, interpolation=method)
    # average colours weighted by coverage, so that hidden colours do not bleed in
    cover = pixels[..., 3:].astype(np.float32) / 255.0
    stacked = np.concatenate([pixels[..., :3] * cover, cover], -1)
    mean = cv2.resize(stacked, size, interpolation=method)
    colour = mean[..., :3] / np.maximum(mean[..., 3:], 1e-6)
    result = np.concatenate([colour, mean[..., 3:] * 255.0], -1)
    return np.clip(np.round(result), 0, 255).astype(np.uint8)


def _factors(path: Path, stated: Sequence[int], found: tuple[int, int]) -> tuple[float, float]:
    factors = found[0] / stated[0], found[1] / stated[1]
    if abs(factors[0] / factors[1] - 1.0) > _ASPECT_TOLERANCE:
        raise ImageFileError(
            f"{path}: expected {stated[0]}x{stated[1]} pixels as its camera says, found {found[0]}x{found[1]}. "
            "Use the photo the camera was calibrated on, or correct width and height."
        )
    if factors != (1.0, 1.0):
        _log.info("%s is %dx%d, its camera says %dx%d: intrinsics scaled", path.name, *found, *stated)
    return factors


def _scaled(intrinsics: NDArray[np.float64], factors: tuple[float, float]) -> NDArray[np.float64]:
    return np.diag([*factors, 1.0]) @ intrinsics


def _composite(pixels: NDArray[np.uint8], background: Sequence[float]) -> NDArray[np.uint8]:
    cover = pixels[..., 3:].astype(np.float32) / 255.0
    behind = np.array(background, np.float32) * 255.0
    mixed = pixels[..., :3] * cover + behind * (1.0 - cover)
    return np.clip(np.round(mixed), 0, 255).astype(np.uint8)
