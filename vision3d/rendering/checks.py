"""Cheap checks of what enters a renderer: shapes, dtypes and devices, never values of large tensors."""

from __future__ import annotations

from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError
from vision3d.rendering.renderer import Splats


def check_raster_inputs(splats: Splats, cameras: CameraBatch, channels: Tensor, background: Tensor | None) -> None:
    """Raise where splats, cameras, channels and background do not fit together.

    Raises:
        InvalidInputError: says which shape, dtype or device was expected and found.
    """
    count, views = len(splats), len(cameras)
    _ = cameras.uniform_size  # raises for no views or mixed sizes
    wanted = {"means": (count, 3), "quats": (count, 4), "scales": (count, 3), "opacities": (count,)}
    for name, shape in wanted.items():
        tensor: Tensor = getattr(splats, name)
        if tuple(tensor.shape) != shape:
            raise InvalidInputError(
                f"Splats.{name}: expected shape {shape}, found {tuple(tensor.shape)}. Give one row per Gaussian."
            )
        _check_values(f"Splats.{name}", tensor, cameras)
    shapes = [(count,), (views, count)]
    if channels.ndim not in (2, 3) or tuple(channels.shape[:-1]) not in shapes or channels.shape[-1] < 1:
        raise InvalidInputError(
            f"channels: expected shape ({count}, dim) or ({views}, {count}, dim) with dim of at least 1, found "
            f"{tuple(channels.shape)}. Give one row per Gaussian."
        )
    _check_values("channels", channels, cameras)
    if background is None:
        return
    dims = channels.shape[-1]
    if tuple(background.shape) not in ((dims,), (views, dims)):
        raise InvalidInputError(
            f"background: expected shape ({dims},) or ({views}, {dims}), found {tuple(background.shape)}. "
            "Give one value per channel."
        )
    _check_values("background", background, cameras)


def _check_values(name: str, tensor: Tensor, cameras: CameraBatch) -> None:
    if not tensor.is_floating_point():
        raise InvalidInputError(f"{name}: expected floating point values, found {tensor.dtype}. Convert with .float().")
    if tensor.device != cameras.device:
        raise InvalidInputError(
            f"{name}: expected the device of the cameras ({cameras.device}), found {tensor.device}. "
            "Move both to one device with .to()."
        )


def check_degree(degree: int, coefficients: int) -> None:
    """Raise where spherical harmonics of `degree` need more than the `coefficients` there are.

    Raises:
        InvalidInputError: says what was found.
    """
    if not 0 <= degree <= 3 or coefficients < (degree + 1) ** 2:
        raise InvalidInputError(
            f"Expected a degree of 0-3 with at least (degree + 1)^2 coefficients, found degree {degree} and "
            f"{coefficients} coefficients. Lower the degree."
        )


def check_label_map(labels: Tensor, cameras: CameraBatch, label_count: int) -> None:
    """Raise where `labels` is not an integer map [view height width] with values in -1..label_count-1.

    Raises:
        InvalidInputError: says what was found.
    """
    width, height = cameras.uniform_size
    shape = (len(cameras), height, width)
    if tuple(labels.shape) != shape or labels.is_floating_point():
        raise InvalidInputError(
            f"labels: expected integers of shape {shape}, found {labels.dtype} of shape {tuple(labels.shape)}. "
            "Give one label per pixel and view."
        )
    if label_count < 1:
        raise InvalidInputError(f"label_count: expected at least 1, found {label_count}. Count the labels.")
    low, high = int(labels.min()), int(labels.max())
    if low < -1 or high >= label_count:
        raise InvalidInputError(
            f"labels: expected values in -1..{label_count - 1} (-1 = none), found {low}..{high}. "
            "Renumber the labels from 0, or raise label_count."
        )
