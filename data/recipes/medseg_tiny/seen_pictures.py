"""Pictures as the language model sees them: features of the vision tower, computed once for a few variations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import torch
from torch import Tensor

from data.recipes.medseg_tiny.phantoms import PHANTOMS, chest_phantom
from data.recipes.medseg_tiny.pictures import read_pictures
from data.recipes.medseg_tiny.variation import relit
from data.recipes.medseg_tiny.volumes import STRUCTURES, read_labelled
from data.recipes.vlm_tiny.exchange import SIDE
from data.recipes.vlm_tiny.network import patch_features
from medseg.inference.shown_slice import shown_square
from medseg.io.read_study import read_study
from medseg.study.slice_plan import plan_slices
from medseg.study.windows import choose_window
from medseg.training.question_writer.picture_facts import PictureFacts
from vlm_bridge.images.tile_batch import IMAGENET_MEAN, IMAGENET_STD

_VARIATIONS = 3
"""Of each picture; the first is the picture as it is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenPicture:
    """A picture, what is known of it, and how the vision tower sees it."""

    facts: PictureFacts
    features: np.ndarray
    """float16 [variation token channel], before the connector."""
    swapped: tuple[bool, ...]
    """Of each variation: whether left and right are."""
    source: str
    fine: bool
    gone: frozenset[str]
    """Structures that were looked for and are not there."""

    @property
    def other_way_round(self) -> SeenPicture:
        """What is known where left and right are swapped."""
        masks = {name: mask[..., ::-1] for name, mask in self.facts.masks.items()}
        return replace(self, facts=replace(self.facts, masks=masks, mirrored=True))

    @property
    def as_if_there(self) -> PictureFacts:
        """The facts with every structure that was looked for."""
        shape = next(iter(self.facts.masks.values())).shape
        full = np.zeros(shape, bool)
        full[..., shape[-2] // 4 : shape[-2] // 2, shape[-1] // 4 : shape[-1] // 2] = True
        masks = {name: mask if mask.any() else full for name, mask in self.facts.masks.items()}
        return replace(self.facts, masks=masks)


def read_seen(shared: Path, model: Any, cache: Path, *, held_out: bool = False) -> list[SeenPicture]:
    """Every picture and one slice of every volume; features are kept in `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    variations = 1 if held_out else _VARIATIONS
    found = []
    for image, facts, source, fine, mirrored in _pictures(shared, held_out):
        key = hashlib.sha256(f"{source} {variations} {mirrored}".encode() + image.tobytes()).hexdigest()[:24]
        file = cache / f"{key}.npy"
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:4], "big"))
        tiles = [_tile(image, rng if number else None, facts.modality, mirrored) for number in range(variations)]
        if not file.exists():
            np.save(file, _features(model, np.stack([tile for tile, _ in tiles])).numpy().astype(np.float16))
        gone = frozenset(name for name, mask in facts.masks.items() if not mask.any())
        swapped = tuple(swap for _, swap in tiles)
        found.append(
            SeenPicture(facts=facts, features=np.load(file), swapped=swapped, source=source, fine=fine, gone=gone)
        )
    return found


def _pictures(shared: Path, held_out: bool) -> Iterator[tuple[np.ndarray, PictureFacts, str, bool, bool]]:
    phantoms = () if held_out else (chest_phantom(seed) for seed in range(PHANTOMS))
    for picture in (*read_pictures(shared, held_out=held_out), *phantoms):
        one = picture.of
        small = _small(picture.masks)
        facts = PictureFacts(modality=one.modality, body_part=one.body_part, masks=small, complete=one.complete)
        yield picture.image, facts, one.folder, one.fine, one.turns != "none"
    for volume in read_labelled(shared, held_out=held_out):
        study = read_study(volume.path).volume
        plan = plan_slices(study)
        image = shown_square(study, plan, plan.shape[0] // 2, choose_window(study))
        labels = np.asarray(nibabel.load(volume.label_path).dataobj)  # type: ignore[attr-defined]
        masks = {name: np.isin(labels, values) for name, values in STRUCTURES.items()}
        yield image, PictureFacts(modality="MRI", body_part="brain", masks=masks), "hippocampus", False, True


def _small(masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Masks of at most 256 pixels along their longer side: enough to say where and how many, and quickly read."""
    height, width = next(iter(masks.values())).shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = {}
    for name, mask in masks.items():
        area = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        small[name] = area > min(0.5, 0.999 * float(area.max()))
    return small


def _tile(image: np.ndarray, rng: np.random.Generator | None, modality: str, mirrored: bool) -> tuple[np.ndarray, bool]:
    """The picture stretched over the tile; with a generator moved, scaled, perhaps mirrored (then True), and relit."""
    height, width = image.shape[:2]
    scale = np.array([SIDE / width, SIDE / height])
    shift, swap = np.zeros(2), False
    if rng is not None:
        zoom = np.exp(rng.uniform(-0.05, 0.15)) * np.exp(rng.uniform(-0.08, 0.08, 2))
        scale = scale * zoom
        shift = (SIDE - scale * (width, height)) * rng.uniform(0.3, 0.7, 2)
        if mirrored and rng.random() < 0.5:
            scale[0], shift[0], swap = -scale[0], SIDE - shift[0], True
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    if rng is None:
        how = cv2.INTER_AREA if scale.max() < 1 else cv2.INTER_LINEAR
        return cv2.resize(image, (SIDE, SIDE), interpolation=how), False
    placed = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    return relit(placed, modality, rng), swap


@torch.no_grad()
def _features(model: Any, tiles: np.ndarray) -> Tensor:
    """float [tile token channel]: what the connector reads."""
    pixels = torch.from_numpy(tiles).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    patches = patch_features(model, (pixels - mean) / std)
    side = round(patches.shape[1] ** 0.5)
    return model.model.pixel_shuffle(patches.view(len(patches), side, side, -1), scale_factor=0.5).flatten(1, 2)
