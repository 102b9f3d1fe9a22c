"""`VolumeFit`: how a volume becomes the block of numbers a 3D decoder reads, and how its logits come back.

Each checkpoint has its own rule, so the rule is stored with it. Axes are turned to RAS, voxels are brought to one
spacing where the rule names one, values are stretched between two percentiles (MR) or two fixed values (CT), and sizes
grow to what the network divides. Where only axes were turned, the way back moves voxels and changes none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from medseg.errors import InvalidInputError
from medseg.study.orientation import AxisMove, canonicalise, move_to_ras
from medseg.study.resampling import Grid, grid_of, grid_of_spacing, sample
from medseg.study.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedVolume:
    """A volume as a decoder reads it, and what the way back needs."""

    values: Float[Tensor, "1 i j k"]
    """Of one channel; 0-1 by the rule's low and high, with borders of 0."""
    before: tuple[int, int, int]
    """Voxels added in front of i, j and k."""
    inner: Grid
    """Grid of the fitted voxels without the borders, axes in RAS order."""
    own: Grid
    """The volume's own grid, to which logits go back."""
    move: AxisMove
    """From the volume's axes to RAS order."""
    resampled: bool
    """Whether `inner` has another spacing than the volume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFit:
    """The preprocessing of one 3D decoder, part of its checkpoint."""

    spacing: tuple[float, float, float] | None = None
    """Millimetres along right, anterior and superior; None keeps the voxels of each volume."""
    patch: tuple[int, int, int] = (48, 64, 48)
    """Voxels of a window. A volume that fits into one is read in one pass; a larger one window by window."""
    multiple: int = 8
    """What the network divides each size by; the patch is a multiple of it."""
    percentiles: tuple[float, float] = (0.5, 99.5)
    """Of the values that are not 0; they become 0 and 1, and values beyond are cut. Unused with a window."""
    window: tuple[float, float] | None = None
    """Fixed values that become 0 and 1 (CT: HU); None takes the percentiles of each volume."""

    def __post_init__(self) -> None:
        sizes = all(size >= 1 and size % self.multiple == 0 for size in self.patch) if self.multiple >= 1 else False
        low, high = self.window or self.percentiles
        spaced = self.spacing is None or min(self.spacing) > 0
        if not (sizes and low < high and spaced and min(self.percentiles) >= 0 and max(self.percentiles) <= 100):
            raise InvalidInputError(
                f"VolumeFit: expected a patch of multiples of {self.multiple}, a positive spacing or None, percentiles "
                f"within 0-100 and low below high, found {self.patch}, {self.spacing}, {self.percentiles} and window "
                f"{self.window}. Correct the checkpoint's configuration."
            )

    def fit(self, volume: Volume) -> FittedVolume:
        """The volume as the decoder reads it.

        Example:
            >>> from medseg.study.volume import volume_in_memory
            >>> volume = volume_in_memory(np.arange(24.0).reshape(2, 3, 4), np.diag([-1.0, 1.0, 2.0, 1.0]))
            >>> tuple(VolumeFit(patch=(8, 8, 8)).fit(volume).values.shape)
            (1, 8, 8, 8)

        Raises:
            InvalidInputError: the volume has channels of colour, or values that are not finite.
        """
        if volume.voxels.ndim != 3 or not np.isfinite(volume.voxels).all():
            raise InvalidInputError(
                f"3D decoder: expected one finite number per voxel [i j k], found voxels of shape "
                f"{volume.voxels.shape}, or some that are not finite. Choose a grey volume."
            )
        turned = canonicalise(volume)
        inner = grid_of(turned) if self.spacing is None else grid_of_spacing(grid_of(turned), self.spacing)
        resampled = self.spacing is not None and not _same(inner, grid_of(turned))
        values = sample(turned.voxels, grid_of(turned), inner) if resampled else turned.voxels.astype(np.float32)
        low, high = self.window or self._limits(values)
        values = np.clip((values - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
        sizes = self._sizes(inner.shape)
        before = tuple((size - have) // 2 for size, have in zip(sizes, inner.shape, strict=True))
        borders = [(a, size - have - a) for a, size, have in zip(before, sizes, inner.shape, strict=True)]
        return FittedVolume(
            values=torch.from_numpy(np.pad(values, borders))[None],
            before=(before[0], before[1], before[2]),
            inner=inner,
            own=grid_of(volume),
            move=move_to_ras(volume.voxel_to_ras),
            resampled=resampled,
        )

    def fit_mask(self, mask: ndarray, fitted: FittedVolume) -> Float[Tensor, "i j k"]:
        """A mask on the volume's own grid, on the grid of `fitted.values`: shares 0-1, borders 0. For training.

        Raises:
            InvalidInputError: the mask is not on the volume's own grid.
        """
        if tuple(mask.shape) != fitted.own.shape:
            raise InvalidInputError(
                f"Mask: expected the volume's grid {fitted.own.shape}, found {mask.shape}. Bring it onto that grid."
            )
        moved = np.ascontiguousarray(fitted.move.apply(mask)).astype(np.float32)
        if fitted.resampled:
            moved = sample(moved, _turned(fitted), fitted.inner)
        sizes = fitted.values.shape[1:]
        borders = [(a, size - have - a) for a, size, have in zip(fitted.before, sizes, moved.shape, strict=True)]
        return torch.from_numpy(np.pad(moved, borders))

    def back(self, logits: Float[Tensor, "token i j k"], fitted: FittedVolume) -> Float[Tensor, "token a b c"]:
        """Logits of the fitted volume on the volume's own voxels, float32 on the CPU.

        Voxels are only moved where no spacing was changed; else logits are interpolated linearly.
        """
        found = np.empty((len(logits), *fitted.own.shape), dtype=np.float32)
        inside = tuple(slice(a, a + n) for a, n in zip(fitted.before, fitted.inner.shape, strict=True))
        for number, one in enumerate(logits.detach().float().cpu().numpy()):
            cut = np.ascontiguousarray(one[inside])
            found[number] = fitted.move.undo(sample(cut, fitted.inner, _turned(fitted)) if fitted.resampled else cut)
        return torch.from_numpy(found)

    def _limits(self, values: Float[ndarray, "i j k"]) -> tuple[float, float]:
        seen = values[values != 0]
        if not seen.size:
            return 0.0, 1.0
        low, high = np.percentile(seen, self.percentiles)
        return float(low), float(high)

    def _sizes(self, shape: tuple[int, int, int]) -> tuple[int, ...]:
        if all(have <= size for have, size in zip(shape, self.patch, strict=True)):
            return self.patch
        return tuple(
            max(size, math.ceil(have / self.multiple) * self.multiple)
            for have, size in zip(shape, self.patch, strict=True)
        )


def _turned(fitted: FittedVolume) -> Grid:
    """The volume's own grid with its axes in RAS order."""
    shape = tuple(fitted.own.shape[axis] for axis in fitted.move.order)
    affine = fitted.move.affine(fitted.own.voxel_to_ras, fitted.own.shape)
    return Grid(shape=(shape[0], shape[1], shape[2]), voxel_to_ras=affine)


def _same(one: Grid, other: Grid) -> bool:
    return one.shape == other.shape and np.allclose(one.voxel_to_ras, other.voxel_to_ras, atol=1e-6)
