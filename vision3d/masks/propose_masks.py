"""`propose_masks`: masks of all photos of a scene, kept photo by photo so that an interrupted run goes on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int16, UInt8
from numpy import ndarray
from torch import Tensor
from tqdm import tqdm

from vision3d.errors import InvalidInputError
from vision3d.masks.mask_proposer import MaskProposer
from vision3d.masks.view_masks import ViewMasks
from vlm_bridge.atomic_write import write_text_whole, written_whole

_log = logging.getLogger(__name__)
STACK_NAME = "masks.npy"
FACTS_NAME = "masks.json"
_FORMAT = "vision3d masks 1"


def propose_masks(
    images: UInt8[Tensor, "view height width 3"],
    names: Sequence[str],
    proposer: MaskProposer,
    *,
    folder: Path | None = None,
    progress: bool = False,
) -> ViewMasks:
    """Masks of every photo, memory-mapped from `folder` where one is given.

    The folder holds one file per photo, named by the proposer with its settings and by the pixels; a photo that has its
    file is not looked at again. Photos that changed, and other settings, have other names: nothing stale is ever used.

    Raises:
        InvalidInputError: names and photos differ in number.
    """
    if len(images) != len(names):
        raise InvalidInputError(f"Expected a name per photo, found {len(images)} photos and {len(names)} names.")
    if folder is None:
        labels = [proposer.propose(image.numpy()) for image in tqdm(images, desc="masks", disable=not progress)]
        return _view_masks(np.stack(labels) if labels else _nothing(images, proposer), names, proposer)
    keys = [_key(image.numpy(), proposer.proposer_id) for image in images]
    facts = {"format": _FORMAT, "proposer": proposer.proposer_id, "views": list(names), "photos": keys}
    if not _is_stacked(folder, facts):
        _propose_each(images, keys, proposer, folder / "photos", progress=progress)
        _stack(folder, keys, facts)
    return _view_masks(np.load(folder / STACK_NAME, mmap_mode="r", allow_pickle=False), names, proposer)


def _propose_each(images: Tensor, keys: Sequence[str], proposer: MaskProposer, folder: Path, *, progress: bool) -> None:
    missing = [row for row, key in enumerate(keys) if not (folder / f"{key}.npy").is_file()]
    if len(missing) < len(keys):
        _log.info("masks of %d of %d photos are there already", len(keys) - len(missing), len(keys))
    for row in tqdm(missing, desc="masks", disable=not progress):
        labels = proposer.propose(images[row].numpy())
        with written_whole(folder / f"{keys[row]}.npy") as partial, partial.open("wb") as file:
            np.save(file, labels)


def _stack(folder: Path, keys: Sequence[str], facts: dict) -> None:
    """All photos in one file that can be mapped, written a photo at a time."""
    first = np.load(folder / "photos" / f"{keys[0]}.npy", mmap_mode="r", allow_pickle=False)
    with written_whole(folder / STACK_NAME) as partial:
        stack = np.lib.format.open_memmap(partial, mode="w+", dtype=np.int16, shape=(len(keys), *first.shape))
        for row, key in enumerate(keys):
            stack[row] = np.load(folder / "photos" / f"{key}.npy", allow_pickle=False)
        stack.flush()
        del stack
    write_text_whole(folder / FACTS_NAME, json.dumps(facts, indent=1) + "\n")


def _is_stacked(folder: Path, facts: dict) -> bool:
    try:
        found = json.loads((folder / FACTS_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return found == facts and (folder / STACK_NAME).is_file()


def _key(image: UInt8[ndarray, "height width 3"], proposer_id: str) -> str:
    digest = hashlib.sha256(proposer_id.encode())
    digest.update(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()[:32]


def _nothing(images: Tensor, proposer: MaskProposer) -> Int16[ndarray, "view level height width"]:
    return np.zeros((0, len(proposer.level_names), *images.shape[1:3]), np.int16)


def _view_masks(labels: ndarray, names: Sequence[str], proposer: MaskProposer) -> ViewMasks:
    return ViewMasks(
        labels=labels, view_names=tuple(names), level_names=proposer.level_names, source=proposer.proposer_id
    )
