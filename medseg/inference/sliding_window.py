"""`label_map` and `slide`: a 3D network over a whole volume, window by window, in bounded memory.

The result is that of `monai.inferers.sliding_window_inference`, which holds the logits of every class for the whole
volume. Here only the slices that windows still reach are held, in a ring as thick as a window; a slice that is done is
handed out. A ring over `max_memory_bytes` lives in a temporary file instead.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Integer, Num
from monai.data.utils import compute_importance_map, dense_patch_slices
from numpy import ndarray
from torch import Tensor

from medseg.errors import InvalidInputError, SegmenterError, SizeLimitError

Network = Callable[[Tensor], Tensor]
"""Windows [window channel i j k] -> logits [window class i j k]. Wrap it to choose classes or to take a softmax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """How a volume is cut into windows and what may be held."""

    window: tuple[int, int, int] = (96, 96, 96)
    """Voxels of a window along i, j and k."""
    overlap: float = 0.25
    """Share of a window that the next one repeats, 0 to below 1."""
    blend: Literal["constant", "gaussian"] = "gaussian"
    """Weights within a window: all alike, or falling towards its border (sigma an eighth of its size)."""
    windows_at_once: int = 1
    """Windows of one pass through the network."""
    outside: float = 0.0
    """Value around a volume that is smaller than a window."""
    device: str = "cpu"
    """Where windows are computed; sums are kept in main memory."""
    max_memory_bytes: int = 2 * 2**30
    """Largest ring of sums in main memory; a larger one lives in a file."""
    spill_folder: Path | None = None
    """Where that file goes; None for the folder of temporary files."""

    def __post_init__(self) -> None:
        if min(self.window) < 1 or not 0 <= self.overlap < 1 or self.windows_at_once < 1 or self.max_memory_bytes < 1:
            raise InvalidInputError(
                "WindowConfig: expected window, windows_at_once and max_memory_bytes of 1 and more, overlap in 0-1, "
                f"found {self.window}, {self.windows_at_once}, {self.max_memory_bytes}, {self.overlap}. Change them."
            )
        if self.spill_folder is not None and not self.spill_folder.is_dir():
            raise InvalidInputError("WindowConfig: expected a folder as spill_folder, found none there. Make it first.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedSlice:
    """One slice of blended logits that no further window reaches."""

    axis: int
    """Axis of the volume across which slices are given: 0, 1 or 2."""
    number: int
    """Number of the slice along it."""
    logits: Float[ndarray, "class row column"]
    """Weighted mean over the windows; its own memory."""


def label_map(
    network: Network, values: Num[ndarray, "channel i j k"], config: WindowConfig = WindowConfig()
) -> Integer[ndarray, "i j k"]:
    """Class of the largest blended logit of each voxel, uint8 up to 256 classes; the smaller class where two are equal.

    Raises:
        InvalidInputError, SegmenterError, SizeLimitError: as `slide`.
    """
    labels: ndarray | None = None
    for done in slide(network, values, config):
        if labels is None:
            labels = np.empty(values.shape[1:], dtype=np.uint8 if len(done.logits) <= 256 else np.uint16, order="F")
        np.moveaxis(labels, done.axis, 0)[done.number] = done.logits.argmax(axis=0)
    if labels is None:
        raise SegmenterError("Sliding window: expected at least one slice, found none. Mend the network.")
    return labels


def slide(
    network: Network, values: Num[ndarray, "channel i j k"], config: WindowConfig = WindowConfig()
) -> Iterator[FinishedSlice]:
    """Blended logits of every slice, in order, as soon as each is done.

    `values` may be of any number type and a memory map: windows alone become float32. The axis is the one that makes
    the ring smallest.

    Raises:
        InvalidInputError: values are not [channel i j k], or the network is still in training mode.
        SegmenterError: the network's output is not [window class i j k] of the window's size.
        SizeLimitError: the ring needs a file and the disk has no room for it.
    """
    if values.ndim != 4 or min(values.shape) < 1:
        raise InvalidInputError(f"Sliding window: expected values [channel i j k], found shape {values.shape}.")
    if isinstance(network, torch.nn.Module) and network.training:
        raise InvalidInputError("Sliding window: expected a network in evaluation mode. Call its eval() first.")
    sizes = values.shape[1:]
    before = [max(wanted - size, 0) // 2 for size, wanted in zip(sizes, config.window, strict=True)]
    padded = _padded(values, config, before)
    starts = _starts(padded.shape[1:], config)
    axis = _slice_axis(padded.shape[1:], config.window)
    for number, logits in _blended(network, padded, starts, axis, config):
        kept = number - before[axis]
        if 0 <= kept < sizes[axis]:
            inside = [slice(first, first + size) for first, size in zip(before, sizes, strict=True)]
            del inside[axis]
            yield FinishedSlice(axis=axis, number=kept, logits=logits[:, inside[0], inside[1]])


def _padded(values: ndarray, config: WindowConfig, before: list[int]) -> ndarray:
    sizes = values.shape[1:]
    missing = [max(wanted - size, 0) for size, wanted in zip(sizes, config.window, strict=True)]
    if not any(missing):
        return values
    borders = [(first, whole - first) for first, whole in zip(before, missing, strict=True)]
    kind = np.result_type(values.dtype, np.float32) if config.outside != int(config.outside) else values.dtype
    return np.pad(values.astype(kind, copy=False), [(0, 0), *borders], constant_values=config.outside)


def _starts(sizes: tuple[int, ...], config: WindowConfig) -> list[tuple[int, int, int]]:
    """First voxels of all windows, in MONAI's order."""
    steps = [
        wanted if wanted == size else max(1, int(wanted * (1 - config.overlap)))
        for size, wanted in zip(sizes, config.window, strict=True)
    ]
    return [(int(i.start), int(j.start), int(k.start)) for i, j, k in dense_patch_slices(sizes, config.window, steps)]


def _slice_axis(sizes: tuple[int, ...], window: tuple[int, int, int]) -> int:
    held = [window[axis] * int(np.prod(sizes)) // sizes[axis] for axis in range(3)]
    return int(np.argmin(held))


def _blended(
    network: Network, values: ndarray, starts: list[tuple[int, int, int]], axis: int, config: WindowConfig
) -> Iterator[tuple[int, Float[ndarray, "class row column"]]]:
    weights = compute_importance_map(config.window, mode=config.blend, sigma_scale=0.125)
    floors = sorted({start[axis] for start in starts})
    ring: _Ring | None = None
    for floor, following in zip(floors, [*floors[1:], values.shape[1 + axis]], strict=True):
        row = [start for start in starts if start[axis] == floor]
        for first in range(0, len(row), config.windows_at_once):
            some = row[first : first + config.windows_at_once]
            logits = _logits(network, values, some, config)
            if ring is None:
                ring = _Ring(logits.shape[1], values.shape[1:], axis, config)
            for start, one in zip(some, logits, strict=True):
                ring.add(start, one * weights, weights)
        if ring is not None:
            for number in range(floor, following):
                yield number, ring.take(number)


def _logits(network: Network, values: ndarray, starts: list[tuple[int, int, int]], config: WindowConfig) -> Tensor:
    windows = [
        values[:, i : i + config.window[0], j : j + config.window[1], k : k + config.window[2]] for i, j, k in starts
    ]
    batch = torch.from_numpy(np.stack(windows).astype(np.float32)).to(config.device)
    with torch.inference_mode():
        logits = network(batch)
    if not isinstance(logits, Tensor) or logits.ndim != 5 or logits.shape[2:] != batch.shape[2:]:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SegmenterError(
            f"Sliding window: expected logits [window class i j k] of windows {config.window}, found {found}. "
            "Wrap the network so that it gives them."
        )
    return logits.to("cpu", torch.float32)


class _Ring:
    """Sums of weighted logits for as many slices as a window is thick; slice n lies in row n modulo that."""

    def __init__(self, classes: int, sizes: tuple[int, ...], axis: int, config: WindowConfig) -> None:
        rows, columns = (size for place, size in enumerate(sizes) if place != axis)
        self._axis, self._thickness, self._window = axis, config.window[axis], config.window
        shape = (self._thickness, classes, rows, columns)
        self._file, sums = _sums(shape, config)
        self._sums = torch.from_numpy(sums)
        self._counts = torch.zeros((self._thickness, rows, columns))
        self._touched, self._limit = 0, config.max_memory_bytes

    def add(self, start: tuple[int, int, int], weighted: Tensor, weights: Tensor) -> None:
        """Add a window's weighted logits [class i j k]."""
        first = start[self._axis]
        rows, columns = (
            slice(start[place], start[place] + self._window[place]) for place in range(3) if place != self._axis
        )
        moved, counted = weighted.movedim(1 + self._axis, 0), weights.movedim(self._axis, 0)
        for number in range(self._thickness):
            place = (first + number) % self._thickness
            self._sums[place, :, rows, columns] += moved[number]
            self._counts[place, rows, columns] += counted[number]
        self._touched += weighted.numel() * 4
        if self._touched > self._limit // 2:
            self._release()

    def take(self, number: int) -> Float[ndarray, "class row column"]:
        """The blended logits of a slice; its row is empty afterwards."""
        place = number % self._thickness
        blended = (self._sums[place] / self._counts[place]).numpy()
        self._sums[place] = 0
        self._counts[place] = 0
        return blended

    def _release(self) -> None:
        """Write the file's pages out and give their memory back."""
        self._touched = 0
        if self._file is not None:
            self._file.flush()
            if hasattr(self._file, "madvise"):
                self._file.madvise(mmap.MADV_DONTNEED)


def _reserve(descriptor: int, size: int) -> None:
    """Disk for all of a file: a sparse one would kill the process at the first write to a full disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # Windows and macOS have no such call; the free space is what can be asked for there
        os.ftruncate(descriptor, size)


def _sums(shape: tuple[int, ...], config: WindowConfig) -> tuple[mmap.mmap | None, Float[ndarray, "..."]]:
    """An array of zeros: in memory, or in a temporary file that vanishes with it."""
    size = int(np.prod([float(count) for count in shape])) * 4
    if size <= config.max_memory_bytes:
        return None, np.zeros(shape, dtype=np.float32)
    with tempfile.TemporaryFile(dir=config.spill_folder) as file:
        try:
            _reserve(file.fileno(), size)
        except OSError as failure:
            raise SizeLimitError(
                f"Sliding window: expected {size} bytes of disk for the sums of {shape[1]} classes, found fewer. Free "
                "some, name another spill_folder, or choose fewer classes."
            ) from failure
        mapped = mmap.mmap(file.fileno(), size)
    return mapped, np.frombuffer(mapped, dtype=np.float32).reshape(shape)
