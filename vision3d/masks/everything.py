"""Masks of everything in a photo from a model that answers points: a grid of points, three masks each, sorted by size.

Segment Anything answers a point with three masks: a part, a thing, a group. Each kind is collected in a pool of its
own, doubtful and repeated masks are dropped, and what stays is painted into one label map per pool.

Source: Segment Anything's automatic mask generator (Kirillov et al. 2023) with LangSplat's pools (arXiv 2312.16084).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int16, UInt8
from numpy import ndarray
from skimage.measure import label
from torch import Tensor
from torchvision.ops import nms

from vision3d.errors import InvalidInputError
from vision3d.masks.mask_nms import MaskNmsSettings, keep_masks

POOLS: dict[str, tuple[int, ...]] = {"default": (0, 1, 2), "s": (0,), "m": (1,), "l": (2,)}
"""Level -> which of a point's three masks it collects."""
_EDGE_PIXELS = 20
"""Masks that end this close to the border of a crop, where the photo goes on, were cut off by it."""

Answer = tuple[Float[Tensor, "point 3 height width"], Float[Tensor, "point 3"]]
"""Logits of three masks per point, above 0 = inside, and how well the model believes they fit (predicted IoU)."""
AnswerPoints = Callable[[Float[ndarray, "point 2"]], Answer]
"""From points x, y in pixels from the photo's corner to masks of the photo's size."""
LookAt = Callable[[UInt8[ndarray, "height width 3"]], AnswerPoints]
"""Encodes a photo once, and gives what answers points in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EverythingSettings:
    """Which points are asked and which masks stay; LangSplat's numbers."""

    levels: tuple[str, ...] = ("s", "m", "l")
    """Label maps to make, of default (all masks in one pool), s, m, l."""
    points_per_side: int = 32
    """Points of the grid along each side, in the photo and in each crop."""
    points_per_batch: int = 64
    """Points asked at a time: memory against speed, never the result."""
    predicted_iou: float = 0.7
    """Masks that the model believes less in go."""
    stability: float = 0.85
    """Masks go whose IoU between two cut-offs, one `stability_offset` above and one below 0, is lower."""
    stability_offset: float = 1.0
    """In logits."""
    box_iou: float = 0.7
    """Of two masks of a pool whose boxes overlap more than this the one less believed in goes."""
    crop_layers: int = 1
    """Besides the photo, 4 overlapping crops (1), and 16 smaller ones (2); 0 asks the photo alone, 5 times faster."""
    crop_overlap: float = 512 / 1500
    """Overlap of the crops, of the photo's shorter side."""
    minimum_region: int = 100
    """Islands and holes of fewer pixels are removed."""
    nms: MaskNmsSettings = field(default_factory=MaskNmsSettings)
    """How masks are compared pixel by pixel; scores are predicted IoU x stability."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.levels if name not in POOLS]
        if unknown or not self.levels or len(set(self.levels)) != len(self.levels):
            raise InvalidInputError(
                f"EverythingSettings: expected distinct levels of {', '.join(POOLS)}, found {self.levels}. Change them."
            )
        if self.points_per_side < 1 or self.points_per_batch < 1 or self.crop_layers < 0 or self.minimum_region < 0:
            raise InvalidInputError(
                f"EverythingSettings: expected at least 1 point per side and batch and no negative counts, found "
                f"{self.points_per_side}, {self.points_per_batch}, {self.crop_layers} crop layers and regions of "
                f"{self.minimum_region} pixels. Change them."
            )
        if not (0 <= self.crop_overlap < 1 and self.stability_offset >= 0):
            raise InvalidInputError(
                f"EverythingSettings: expected an overlap in 0-1 and an offset of at least 0, found "
                f"{self.crop_overlap} and {self.stability_offset}. Change them."
            )

    def described(self) -> str:
        """All settings that can change a mask."""
        names = [name for name in self.__dataclass_fields__ if name != "points_per_batch"]
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


@dataclass(slots=True)
class _Pool:
    """Masks of one level: bits of full photos, boxes, predicted IoU, stability."""

    bits: list[UInt8[ndarray, " byte"]] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    believed: list[float] = field(default_factory=list)
    stable: list[float] = field(default_factory=list)

    def take(self, rows: list[int]) -> None:
        self.bits = [self.bits[row] for row in rows]
        self.boxes = [self.boxes[row] for row in rows]
        self.believed = [self.believed[row] for row in rows]
        self.stable = [self.stable[row] for row in rows]

    def extend(self, other: _Pool) -> None:
        self.bits += other.bits
        self.boxes += other.boxes
        self.believed += other.believed
        self.stable += other.stable


def segment_everything(
    image: UInt8[ndarray, "height width 3"], look_at: LookAt, settings: EverythingSettings = EverythingSettings()
) -> Int16[ndarray, "level height width"]:
    """Label maps of one photo, one per level, -1 = no mask.

    Better masks are painted over worse ones; masks of which nothing stays visible have no number.
    """
    height, width = image.shape[:2]
    pools = {name: _Pool() for name in settings.levels}
    for left, top, right, bottom in crop_boxes(width, height, settings.crop_layers, settings.crop_overlap):
        answer = look_at(np.ascontiguousarray(image[top:bottom, left:right]))
        found = {name: _Pool() for name in settings.levels}
        for points in _batches(point_grid(right - left, bottom - top, settings.points_per_side), settings):
            _collect(found, answer(points), (left, top, right, bottom), (width, height), settings)
        for name, pool in found.items():
            _drop_repeats(pool, settings.box_iou)
            pools[name].extend(pool)
    return np.stack([_painted(pool, (height, width), settings) for pool in pools.values()])


def point_grid(width: int, height: int, per_side: int) -> Float[ndarray, "point 2"]:
    """Points x, y in the middles of equal cells, row by row.

    Example:
        >>> point_grid(4, 2, 2).tolist()
        [[1.0, 0.5], [3.0, 0.5], [1.0, 1.5], [3.0, 1.5]]
    """
    shares = (np.arange(per_side) + 0.5) / per_side
    return np.stack(np.meshgrid(shares * width, shares * height), axis=-1).reshape(-1, 2)


def crop_boxes(width: int, height: int, layers: int, overlap: float) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of the photo and of the crops of each layer, 4 to the power of its number.

    Example:
        >>> crop_boxes(100, 60, 1, 0.0)
        [(0, 0, 100, 60), (0, 0, 50, 30), (50, 0, 100, 30), (0, 30, 50, 60), (50, 30, 100, 60)]
    """
    boxes = [(0, 0, width, height)]
    for layer in range(layers):
        per_side = 2 ** (layer + 1)
        shared = int(overlap * min(width, height) * 2 / per_side)
        wide, high = (math.ceil((shared * (per_side - 1) + side) / per_side) for side in (width, height))
        for row in range(per_side):
            for column in range(per_side):
                left, top = (wide - shared) * column, (high - shared) * row
                boxes.append((left, top, min(left + wide, width), min(top + high, height)))
    return boxes


def _batches(points: ndarray, settings: EverythingSettings) -> Iterator[ndarray]:
    for first in range(0, len(points), settings.points_per_batch):
        yield points[first : first + settings.points_per_batch]


def _collect(
    pools: dict[str, _Pool], answer: Answer, crop: tuple[int, int, int, int], size: tuple[int, int],
    settings: EverythingSettings,
) -> None:  # fmt: skip
    """Put the masks that are believed in and stable into their pools, in the photo's pixels."""
    logits, believed = answer[0].detach(), answer[1].detach().float().cpu()
    offset = settings.stability_offset
    certain = (logits > offset).flatten(2).sum(2).float()
    stable = (certain / (logits > -offset).flatten(2).sum(2).clamp(min=1)).cpu()
    good = (believed >= settings.predicted_iou) & (stable >= settings.stability)
    for point, kind in good.nonzero().tolist():
        mask = (logits[point, kind] > 0).cpu().numpy()
        box = _box(mask)
        if box is None or _cut_off(box, crop, size):
            continue
        whole = np.zeros((size[1], size[0]), bool)
        whole[crop[1] : crop[3], crop[0] : crop[2]] = mask
        bits = np.packbits(whole)
        for name, pool in pools.items():
            if kind in POOLS[name]:
                pool.bits.append(bits)
                pool.boxes.append((box[0] + crop[0], box[1] + crop[1], box[2] + crop[0], box[3] + crop[1]))
                pool.believed.append(float(believed[point, kind]))
                pool.stable.append(float(stable[point, kind]))


def _box(mask: Bool[ndarray, "height width"]) -> tuple[int, int, int, int] | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _cut_off(box: tuple[int, int, int, int], crop: tuple[int, int, int, int], size: tuple[int, int]) -> bool:
    """Whether a mask ends at a border of the crop that is none of the photo."""
    photo = (0, 0, *size)
    inner = (crop[0], crop[1], crop[0], crop[1])
    return any(
        abs(side + start - border) <= _EDGE_PIXELS and abs(side + start - end) > _EDGE_PIXELS
        for side, start, border, end in zip(box, inner, crop, photo, strict=True)
    )


def _drop_repeats(pool: _Pool, box_iou: float) -> None:
    if pool.boxes:
        kept = nms(torch.tensor(pool.boxes, dtype=torch.float32), torch.tensor(pool.believed), box_iou)
        pool.take(kept.tolist())


def _painted(pool: _Pool, size: tuple[int, int], settings: EverythingSettings) -> Int16[ndarray, "height width"]:
    """The label map of a pool."""
    labels = np.full(size, -1, np.int16)
    _drop_repeats(pool, settings.box_iou)  # those of different crops
    if not pool.bits:
        return labels
    count = size[0] * size[1]
    masks = np.stack([np.unpackbits(bits, count=count).reshape(size).astype(bool) for bits in pool.bits])
    masks = np.stack([without_small_regions(mask, settings.minimum_region) for mask in masks])
    kept = keep_masks(masks, np.array(pool.believed) * np.array(pool.stable), settings.nms)
    for number, row in enumerate(kept[::-1]):  # the best one last, over the others
        labels[masks[row]] = number
    seen = np.unique(labels[labels >= 0])
    labels[labels >= 0] = np.searchsorted(seen, labels[labels >= 0])
    return labels


def without_small_regions(mask: Bool[ndarray, "height width"], minimum: int) -> Bool[ndarray, "height width"]:
    """The mask with holes below `minimum` pixels filled, and islands below it removed; its largest island stays."""
    for inside in (False, True):
        regions = np.asarray(label(mask == inside, connectivity=2))
        sizes = np.bincount(regions.ravel())
        count = len(sizes) - 1
        sizes[0] = minimum
        small = sizes < minimum
        if inside and count and small[1:].all():
            small[1 + int(sizes[1:].argmax())] = False
        mask = mask ^ small[regions]
    return mask
