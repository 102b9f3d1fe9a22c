"""Crops of masks from rendered scenes, and which facts are true of each one.

Three kinds of true masks are cut out: instances with uneven borders, pieces of one material, and groups that stand in
one another; besides them the pieces of the room. Of some photos come the masks of a proposer as well, whatever they
show: of a fragment nothing is true that needs the whole thing, but all that other things are called is false.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from data.recipes.household.random_scene import ROOM
from data.recipes.tabletop.textures import smooth_noise
from vision3d.language.crops import CropSettings, crop_masks, mask_boxes
from vision3d.masks.mask_proposer import MaskProposer

ROOM_PHRASES: dict[str, tuple[str, ...]] = {
    "table": ("table", "wooden table", "table top"),
    "tablecloth": ("tablecloth", "cloth", "cloth on the table"),
    "floor": ("floor", "floor boards", "ground"),
    "wall": ("wall", "wallpaper", "wall of the room"),
    "skirting board": ("skirting board", "baseboard"),
}
"""What the room's pieces are called."""
_MINIMUM_PIXELS = 40
_OWN_SHARE = 0.7
"""From this share of a mask's pixels on, it is a mask of the instance."""
_WHOLE_SHARE = 0.8
"""From this share of the instance's visible pixels on, it is the instance and not a part: of a lamp's shade alone and
the whole lamp, the lamp has to win."""
_MIXED_SHARE, _PART_SHARE = 0.4, 0.5
"""A mask that has less of its pixels from things of a fact, or less of each of these things, does not show the fact."""
_TOLD_SHARE, _TOLD_PIXELS, _HINTED_SHARE = 0.2, 25, 0.04
_JITTER_PIXELS = 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSet:
    """Crops with their truth, for all phrases that are made of facts."""

    pictures: UInt8[Tensor, "crop 3 size size"]
    """Display values 0-255: the mask's pixels on white, padded with black."""
    inside: Bool[Tensor, "crop size size"]
    """Pixels of the mask."""
    true: Bool[Tensor, "crop fact"]
    """Facts the crop shows."""
    open: Bool[Tensor, "crop fact"]
    """Facts that can neither be called shown nor missing, as of a part or a mixture."""
    hidden: Bool[Tensor, "crop fact"]
    """Facts of the instance that only its hidden telling side shows."""
    scene: torch.Tensor
    """Scene of each crop."""
    facts: tuple[str, ...]
    """Columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseTable:
    """Phrases and the facts they need."""

    texts: tuple[str, ...]
    needs: Bool[Tensor, "phrase fact"]
    is_name: Bool[Tensor, " phrase"]


def read_scene(path: Path) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Arrays of a rendered scene, and the facts about its things."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(arrays.pop("facts").tobytes().decode())


def phrase_table(paths: Sequence[Path]) -> tuple[PhraseTable, tuple[str, ...]]:
    """All distinct phrases of the scenes and of the room, and all facts."""
    found: dict[str, tuple[frozenset[str], bool]] = {}
    facts = {f"room:{name}" for name in ROOM}
    for name, texts in ROOM_PHRASES.items():
        found |= {text: (frozenset([f"room:{name}"]), False) for text in texts}
    for path in paths:
        for thing in read_scene(path)[1]:
            facts |= {*thing["facts"], *thing["telling"]}
            found |= {text: (frozenset(needs), role == "name") for text, needs, role in thing["phrases"]}
    columns = tuple(sorted(facts))
    texts = tuple(sorted(found))
    needs = torch.tensor([[fact in found[text][0] for fact in columns] for text in texts])
    return PhraseTable(texts=texts, needs=needs, is_name=torch.tensor([found[text][1] for text in texts])), columns


def truth(crops: CropSet, rows: Tensor, table: PhraseTable, phrases: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each phrase is true of each crop, and whether that can be said at all; both [crop phrase]."""
    needs = table.needs[phrases].float()
    shown, vague = crops.true[rows], crops.open[rows]
    true = (~shown).float() @ needs.T == 0
    perhaps = (~(shown | vague)).float() @ needs.T == 0
    by_name = ((~(shown | vague | crops.hidden[rows])).float() @ needs.T == 0) & table.is_name[phrases]
    return true, true | ~(perhaps | by_name)


def cut_crops(
    paths: Sequence[Path],
    facts: tuple[str, ...],
    *,
    size: int,
    every_view: int = 1,
    proposer: MaskProposer | None = None,
    proposed_views: int = 2,
    processes: int = 1,
) -> CropSet:
    """The crops of all scenes, `size` pixels a side; masks of `proposer` are cut from so many photos of each scene."""
    cut = partial(
        _scene_crops, facts=facts, size=size, every_view=every_view, proposer=proposer, proposed_views=proposed_views
    )
    numbered = tqdm(enumerate(paths), desc="crops", total=len(paths), mininterval=20)
    if processes == 1:
        scenes_crops = [cut(task) for task in numbered]
    else:
        with get_context("spawn").Pool(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            scenes_crops = list(pool.imap(cut, numbered, chunksize=4))
    columns = zip(*scenes_crops, strict=True)
    pictures, inside, true, vague, hidden, scenes = (torch.from_numpy(np.concatenate(each)) for each in columns)
    return CropSet(pictures=pictures, inside=inside, true=true, open=vague, hidden=hidden, scene=scenes, facts=facts)


def _scene_crops(
    task: tuple[int, Path], *, facts: tuple[str, ...], size: int, every_view: int, proposer: MaskProposer | None,
    proposed_views: int,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Columns of a `CropSet` for one scene; arrays, since tensors cross processes through files in shared memory."""
    scene, path = task
    column = {fact: place for place, fact in enumerate(facts)}
    arrays, things = read_scene(path)
    count = len(arrays["images"])
    looked_at = set(range(0, count, max(count // proposed_views, 1))) if proposer else set()
    parts: list[tuple[Tensor, ...]] = []
    for view in range(0, count, every_view):
        maps = _true_maps(arrays, view, things)
        if proposer and view in looked_at:
            maps += _distinct(proposer.propose(arrays["images"][view]))
        parts += _view_crops(arrays, view, maps, things, column, size)
    whole = [torch.cat(columns).numpy() for columns in zip(*parts, strict=True)]
    return (*whole, np.full(len(whole[0]), scene))


def kept_crops(
    file: Path, paths: Sequence[Path], facts: tuple[str, ...], *, size: int, proposer: MaskProposer | None = None,
    processes: int = 1,
) -> CropSet:  # fmt: skip
    """The crops of all scenes, read from `file` where an earlier run left them there."""
    names = ("pictures", "inside", "true", "open", "hidden", "scene")
    made_by = proposer.proposer_id if proposer else "truth"
    key = hashlib.sha256(json.dumps([size, facts, [path.name for path in paths], made_by]).encode()).hexdigest()
    if file.is_file():
        with safe_open(file, framework="pt") as content:
            if (content.metadata() or {}).get("key") == key:
                return CropSet(facts=facts, **{name: content.get_tensor(name) for name in names})
    crops = cut_crops(paths, facts, size=size, proposer=proposer, processes=processes)
    save_file({name: getattr(crops, name).contiguous() for name in names}, file, metadata={"key": key})
    return crops


def _true_maps(arrays: dict[str, np.ndarray], view: int, things: list[dict]) -> list[np.ndarray]:
    """Label maps that the truth gives: instances, the room, and pieces or groups by turns."""
    ids, pieces = arrays["ids"][view].astype(np.int64), arrays["pieces"][view].astype(np.int64)
    rng = np.random.default_rng(view)
    group_of = np.arange(256)
    for thing in things:
        group_of[thing["number"]] = thing["group"]
    grouped = group_of[ids]
    merged = np.isin(grouped, [thing["group"] for thing in things if thing["group"] != thing["number"]])
    some = np.where(rng.random(4096)[pieces] < 0.35, pieces, -1)
    return [
        _uneven(np.where(ids > 0, ids, -1), rng),
        np.where(ids == 0, pieces, -1),
        some if view % 2 else np.where(merged, grouped, -1),
    ]


def _distinct(levels: np.ndarray) -> list[np.ndarray]:
    """The same label maps without masks that an earlier level has already."""
    seen: set[bytes] = set()
    maps = []
    for labels in levels.astype(np.int64):
        fresh = labels.copy()
        for number in range(int(labels.max()) + 1):
            mask = labels == number
            key = hashlib.sha256(np.packbits(mask).tobytes()).digest()
            if key in seen:
                fresh[mask] = -1
            seen.add(key)
        maps.append(fresh)
    return maps


def _view_crops(
    arrays: dict[str, np.ndarray], view: int, maps: list[np.ndarray], things: list[dict], column: dict[str, int],
    size: int,
) -> list[tuple[Tensor, ...]]:  # fmt: skip
    ids, pieces = arrays["ids"][view].astype(np.int64), arrays["pieces"][view].astype(np.int64)
    image = torch.from_numpy(arrays["images"][view])
    found = []
    for one in maps:
        labels = torch.from_numpy(one)
        masks = mask_boxes(labels, minimum_pixels=_MINIMUM_PIXELS)
        if not len(masks.number):
            continue
        crops = crop_masks(image, labels, masks, size, CropSettings())
        marks = torch.zeros(*labels.shape, 3, dtype=torch.uint8)
        own = crop_masks(marks, labels, masks, size, CropSettings(padding="white"))[:, 0] < 0.5
        flags = [
            _facts_of(one == int(number), ids, pieces, arrays["telling"][view], things, column)
            for number in masks.number
        ]
        true, vague, hidden = (torch.from_numpy(np.stack(each)) for each in zip(*flags, strict=True))
        found.append(((crops * 255).round().to(torch.uint8), own, true, vague, hidden))
    return found


def _facts_of(
    mask: np.ndarray,
    ids: np.ndarray,
    pieces: np.ndarray,
    telling: np.ndarray,
    things: list[dict],
    column: dict[str, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Facts shown, open and hidden in one mask."""
    true, vague, hidden = (np.zeros(len(column), bool) for _ in range(3))
    shares = np.zeros(len(column))
    size = mask.sum()
    for number, count in zip(*np.unique(ids[mask], return_counts=True), strict=True):
        if number == 0:
            for piece, share in zip(*np.unique(pieces[mask & (ids == 0)], return_counts=True), strict=True):
                true[column[f"room:{ROOM[piece]}"]] |= share >= _OWN_SHARE * size
                shares[column[f"room:{ROOM[piece]}"]] += share / size
            continue
        thing = things[number - 1]
        own, told = ([column[fact] for fact in thing[key] if fact in column] for key in ("facts", "telling"))
        part = count / (ids == number).sum()
        if part >= _PART_SHARE:
            shares[own] += count / size
        whole = count >= _OWN_SHARE * size and part >= _WHOLE_SHARE
        true[own] |= whole
        seen = (telling & mask & (ids == number)).sum()
        if seen >= max(_TOLD_SHARE * count, _TOLD_PIXELS) and whole:
            true[told] = True
        elif count >= _MIXED_SHARE * size and part >= _PART_SHARE:
            (vague if seen > _HINTED_SHARE * count else hidden)[told] = True
    vague |= shares >= _MIXED_SHARE
    return true, vague & ~true, hidden & ~true


def _uneven(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same masks with borders that wander by a pixel or two."""
    height, width = labels.shape
    y, x = np.mgrid[0:height, 0:width]
    dy, dx = (
        _JITTER_PIXELS * rng.uniform(0, 1) * smooth_noise(height, width, 3.0, int(rng.integers(1 << 30)))
        for _ in range(2)
    )
    rows, columns = np.clip(np.rint(y + dy), 0, height - 1), np.clip(np.rint(x + dx), 0, width - 1)
    return labels[rows.astype(int), columns.astype(int)]
