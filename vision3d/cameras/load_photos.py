"""`load_photos`: posed photos decoded, undistorted and brought to one size."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.distortion import undistort
from vision3d.cameras.photo_files import photo_size, read_pixels
from vision3d.cameras.posed_photos import Photos, PosedPhotos
from vision3d.errors import ImageFileError, InvalidInputError

_log = logging.getLogger(__name__)
_ROUNDING_PIXELS = 1.0
_ASPECT_TOLERANCE = 0.01
_OVERSAMPLING = 3
_Size = tuple[int, int]


def load_photos(
    posed: PosedPhotos,
    *,
    max_side: int | None = None,
    background: Sequence[float] = (1.0, 1.0, 1.0),
    workers: int = 2,
) -> Photos:
    """The photos of `posed` as pinhole views of one size.

    Photos are reduced by area averaging. Distortion is removed on the way, at three times the final size (or at the
    photo's own where that is smaller): as sharp as at full size, and several times faster. A photo stored smaller or
    larger than its camera says, in proportion, keeps its pixels and gets scaled intrinsics. Views that differ a little
    in size or by a whole factor are brought to the most common size. EXIF rotation is not applied: camera files speak
    of the pixels as stored.

    Args:
        posed: views from a reader.
        max_side: longest side wanted in pixels; None, or more than the photos have, keeps their size.
        background: RGB in 0-1 behind photos with alpha.
        workers: photos decoded at a time.

    Raises:
        ImageFileError: a photo cannot be decoded or does not fit its camera; views differ in shape.
        InvalidInputError: no views, or `max_side` or `background` is out of range.
    """
    _check_arguments(posed, max_side, background)
    with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
        stored = list(pool.map(photo_size, posed.image_paths))
        _check_sizes(posed, stored)
        size = _final_size(posed, stored, max_side)
        loaded = list(pool.map(lambda row: _load_view(posed, row, size, background), range(len(stored))))
    cameras = CameraBatch(
        world_to_camera=posed.cameras.world_to_camera,
        intrinsics=torch.tensor(np.stack([matrix for _, matrix in loaded]), dtype=torch.float32),
        image_sizes=torch.tensor([size] * len(loaded)),
        names=posed.cameras.names,
    )
    images = np.stack([pixels[..., :3] for pixels, _ in loaded])
    alpha = None
    if any(pixels.shape[2] == 4 for pixels, _ in loaded):
        opaque = np.full((size[1], size[0]), 255, np.uint8)
        alpha = np.stack([pixels[..., 3] if pixels.shape[2] == 4 else opaque for pixels, _ in loaded])
    return Photos(
        cameras=cameras,
        images=torch.from_numpy(images),
        alpha=None if alpha is None else torch.from_numpy(alpha),
        valid=None,
    )


def _check_arguments(posed: PosedPhotos, max_side: int | None, background: Sequence[float]) -> None:
    if len(posed.cameras) == 0:
        raise InvalidInputError("load_photos: expected at least one view, found none. Select some views first.")
    if max_side is not None and max_side < 1:
        raise InvalidInputError(f"load_photos: expected max_side of at least 1 pixel, found {max_side}. Raise it.")
    if len(background) != 3 or not all(0.0 <= value <= 1.0 for value in background):
        raise InvalidInputError(
            f"load_photos: expected a background of three numbers in 0-1, found {tuple(background)}. Divide by 255?"
        )


def _check_sizes(posed: PosedPhotos, stored: Sequence[_Size]) -> None:
    rescaled = []
    for row, found in enumerate(stored):
        width, height = posed.cameras.image_sizes[row].tolist()
        if found == (width, height):
            continue
        if not _proportional((width, height), found):
            raise ImageFileError(
                f"{posed.image_paths[row]}: expected {width}x{height} pixels (or that in proportion) as its camera "
                f"says, found {found[0]}x{found[1]}. Use the photo the camera was calibrated on, or correct the size."
            )
        rescaled.append(f"{posed.cameras.names[row]} is {found[0]}x{found[1]}, its camera says {width}x{height}")
    if rescaled:
        _log.info("intrinsics of %d views scaled to their photos (first: %s)", len(rescaled), rescaled[0])


def _proportional(one: _Size, other: _Size) -> bool:
    """Whether one size is a multiple of the other, up to the rounding of the smaller one."""
    small, large = sorted((one, other))
    from_width = abs(small[0] * large[1] / large[0] - small[1])
    from_height = abs(small[1] * large[0] / large[1] - small[0])
    return min(from_width, from_height) <= _ROUNDING_PIXELS


def _final_size(posed: PosedPhotos, stored: Sequence[_Size], max_side: int | None) -> _Size:
    (width, height), _ = Counter(sorted(stored)).most_common(1)[0]
    for row, other in enumerate(stored):
        if abs(other[0] / other[1] * height / width - 1.0) > _ASPECT_TOLERANCE:
            raise ImageFileError(
                f"{posed.image_paths[row]}: expected photos of one shape (most are {width}x{height}), found "
                f"{other[0]}x{other[1]}. Crop or split the scene so that all photos have the same aspect ratio."
            )
    if len(set(stored)) > 1:
        _log.info("photos of %d sizes are all brought to the shape of %dx%d", len(set(stored)), width, height)
    factor = 1.0 if max_side is None else min(1.0, max_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _load_view(
    posed: PosedPhotos, row: int, size: _Size, background: Sequence[float]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    # with colours mixed with the background first, every later average is right for colour and coverage alike
    pixels = _composited(read_pixels(posed.image_paths[row]), background)
    intrinsics = posed.cameras.intrinsics[row].double().numpy()
    distortion = posed.distortion[row].double().numpy()
    found = (pixels.shape[1], pixels.shape[0])
    intrinsics = _scaled(intrinsics, posed.cameras.image_sizes[row].tolist(), found)
    if distortion.any():
        middle = (min(found[0], _OVERSAMPLING * size[0]), min(found[1], _OVERSAMPLING * size[1]))
        intrinsics = _scaled(intrinsics, found, middle)
        try:
            pixels, intrinsics = undistort(_resized(pixels, middle), intrinsics, distortion)
        except InvalidInputError as error:
            raise ImageFileError(f"{posed.image_paths[row]}: {error}") from error
        found = middle
    return _resized(pixels, size), _scaled(intrinsics, found, size)


def _resized(pixels: NDArray[np.uint8], size: _Size) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    method = cv2.INTER_AREA if width >= size[0] and height >= size[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)


def _scaled(intrinsics: NDArray[np.float64], old: Sequence[int], new: Sequence[int]) -> NDArray[np.float64]:
    return np.diag([new[0] / old[0], new[1] / old[1], 1.0]) @ intrinsics


def _composited(pixels: NDArray[np.uint8], background: Sequence[float]) -> NDArray[np.uint8]:
    if pixels.shape[2] == 3:
        return pixels
    cover = pixels[..., 3:].astype(np.float32) / 255.0
    behind = np.array(background, np.float32) * 255.0
    colour = np.round(pixels[..., :3] * cover + behind * (1.0 - cover)).astype(np.uint8)
    return np.concatenate([colour, pixels[..., 3:]], -1)
