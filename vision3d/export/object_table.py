"""The table of a scene's objects: number, level, views, size, place, box and the words that fit best."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.export.object_boxes import ObjectShape, object_shape, shape_record
from vision3d.laga.laga_scene import LagaScene, object_sizes
from vision3d.laga.object_looks import object_masks
from vision3d.laga.relevance import object_relevance
from vision3d.laga.scene_files import resized_to_side
from vision3d.language.catalogue import EMBEDDED_MODEL
from vision3d.language.checkpoint_files import VOCABULARY_NAME
from vision3d.language.image_text_encoder import ImageTextEncoder, check_same_encoder
from vision3d.language.prompts import CANONICAL_NEGATIVES, encode_phrases
from vision3d.language.word_tokenizer import read_vocabulary
from vision3d.rendering.renderer import Renderer
from vision3d.scene.selection import select_gaussians
from vlm_bridge.assets import asset_path

LEAST_PIXELS, COUNT_SIDE = 30, 256
"""A view shows an object when it gives it at least this many pixels, in a picture no larger than the side."""
_SHORTEST_WORD = 3
_NO_THINGS = frozenset((
    "about", "and", "coloured", "for", "from", "gives", "grows", "hit", "its", "made", "many", "object", "play",
    "shows", "something", "stuff", "take", "texture", "that", "there", "thing", "things", "under", "what", "wear",
    "with", "without",
))  # fmt: skip
"""Words of phrases that name no thing and no look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectWords:
    """What objects are compared with."""

    words: tuple[str, ...]
    """Words or phrases."""
    encoder: ImageTextEncoder
    """Encoder of the scene."""
    negatives: tuple[str, ...] = CANONICAL_NEGATIVES
    """What a word has to beat."""
    shown: int = 3
    """How many words are kept per object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRow:
    """One object."""

    object: int
    """Its number."""
    level: str
    """Name of its level."""
    gaussians: int
    """Gaussians that make it."""
    masks: int
    """Masks of the training that were joined to it."""
    views: int | None
    """Views that show it; None where no cameras were given."""
    shape: ObjectShape
    """Box, centroid and volume, world units."""
    words: tuple[tuple[str, float], ...]
    """The words that fit best and their relevance (0-1, times the descriptor's weight), best first."""


def object_table(
    laga: LagaScene,
    *,
    words: ObjectWords | None = None,
    cameras: CameraBatch | None = None,
    renderer: Renderer | None = None,
    progress: bool = False,
) -> tuple[ObjectRow, ...]:
    """A row for each object that has Gaussians, by number.

    Args:
        laga: the scene.
        words: None leaves the words out.
        cameras: views to count; None leaves the count out.
        renderer: None takes the one that fits the scene's device.
        progress: show a progress bar.

    Raises:
        InvalidInputError: the words' encoder is not the scene's, or there are no words to choose from.
    """
    sizes, found = object_sizes(laga).long(), nearest_words(laga, words)
    seen = None if cameras is None else count_views(laga, cameras, renderer=renderer, progress=progress)
    rows = []
    for number in sizes.nonzero().flatten().tolist():
        level = int(laga.object_level[number])
        members = (laga.gaussian_object[level] == number).to(laga.scene.device)
        rows.append(
            ObjectRow(
                object=number,
                level=laga.level_names[level],
                gaussians=int(sizes[number]),
                masks=int(laga.object_masks[number]),
                views=None if seen is None else int(seen[number]),
                shape=object_shape(select_gaussians(laga.scene, members)),
                words=found[number],
            )
        )
    return tuple(rows)


def nearest_words(laga: LagaScene, words: ObjectWords | None) -> tuple[tuple[tuple[str, float], ...], ...]:
    """The best words of every object, as a query would score them; none for objects without descriptors.

    Raises:
        InvalidInputError: the words' encoder is not the scene's, or there are no words to choose from.
    """
    if words is None:
        return ((),) * laga.object_count
    check_same_encoder(laga.encoder_id, words.encoder, "The scene")
    vectors = encode_phrases(words.words, words.encoder)
    against = encode_phrases(words.negatives, words.encoder)
    scored = [object_relevance(laga.descriptors, vector, against, object_count=laga.object_count) for vector in vectors]
    table = torch.stack([one.weighted for one in scored], 1)
    best, order = table.topk(min(words.shown, len(words.words)), dim=1)
    return tuple(
        tuple((words.words[place], value) for place, value in zip(places, values, strict=True) if value > 0)
        for places, values in zip(order.tolist(), best.tolist(), strict=True)
    )


def count_views(
    laga: LagaScene, cameras: CameraBatch, *, renderer: Renderer | None = None, progress: bool = False
) -> Int[Tensor, " object"]:
    """Views in which each object is seen, rendered view by view."""
    seen = np.zeros(laga.object_count, np.int64)
    for name in tqdm(cameras.names, desc="views of objects", disable=not progress):
        camera = cameras.select([name])
        camera = resized_to_side(camera, min(COUNT_SIDE, max(camera.uniform_size)))
        labels = object_masks(laga, camera, renderer=renderer).labels
        seen += np.bincount(labels[labels >= 0], minlength=laga.object_count) >= LEAST_PIXELS
    return torch.from_numpy(seen)


def vocabulary_of(encoder_name: str) -> tuple[str, ...]:
    """Words for things that an encoder with a closed vocabulary knows; empty for all other encoders.

    Raises:
        ModelFileError: the vocabulary is damaged.

    Example:
        >>> "mug" in vocabulary_of("embedded"), vocabulary_of("ViT-B-16/laion2b_s34b_b88k")
        (True, ())
    """
    folder = asset_path(EMBEDDED_MODEL) if encoder_name == "embedded" else Path(encoder_name).expanduser()
    path = folder / VOCABULARY_NAME
    if not path.is_file():
        return ()
    words = read_vocabulary(path)
    return tuple(word for word in words if len(word) >= _SHORTEST_WORD and word not in _NO_THINGS)


def table_content(rows: Sequence[ObjectRow]) -> list[dict[str, Any]]:
    """The table as a JSON-ready list."""
    return [
        {
            "object": row.object,
            "level": row.level,
            "gaussians": row.gaussians,
            "masks": row.masks,
            "views": row.views,
            "words": [{"word": word, "relevance": round(value, 4)} for word, value in row.words],
        }
        | shape_record(row.shape)
        for row in rows
    ]


def table_csv(rows: Sequence[ObjectRow]) -> str:
    """The table as CSV with one line per object; lengths in world units."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    axes = ("x", "y", "z")
    places = [f"{what}_{axis}" for what in ("centroid", "minimum", "maximum") for axis in axes]
    writer.writerow(["object", "level", "gaussians", "masks", "views", "volume", *places, "words"])
    for row in rows:
        box, shape = row.shape.axis_aligned, row.shape
        numbers = torch.cat([shape.centroid, box.minimum, box.maximum]).tolist()
        words = "; ".join(f"{word} {value:.2f}" for word, value in row.words)
        start = [row.object, row.level, row.gaussians, row.masks, "" if row.views is None else row.views]
        writer.writerow([*start, f"{shape.volume:.6g}", *(f"{value:.6g}" for value in numbers), words])
    return text.getvalue()
