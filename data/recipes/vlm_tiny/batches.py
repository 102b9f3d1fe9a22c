"""Pictures with several exchanges each, as one batch in which no exchange sees another.

A row holds a picture and a handful of exchanges one after another. Each exchange attends to the picture and to itself
alone and counts its places from the picture on, so it is learned just as it will be asked: as the only question. The
vision tower runs once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data.recipes.vlm_tiny.exchange import Exchange, Picture, Rng
from data.recipes.vlm_tiny.network import TOKENS_PER_TILE
from vlm_bridge.images.tile_batch import IMAGENET_MEAN, IMAGENET_STD
from vlm_bridge.prompts.special_tokens import SpecialTokens

KIND_WEIGHTS = {"description": 0.5, "mask": 0.5, "above or below": 0.5, "count": 1.6, "left or right": 1.4}
"""How often a kind is drawn against the others (1)."""
IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """A batch to learn from."""

    pixels: Float[Tensor, "row 3 height width"]
    what: Int[Tensor, "row height width"]
    colour: Int[Tensor, "row height width"]
    ids: Int[Tensor, "row token"]
    places: Int[Tensor, "row token"]
    """Position of each token in its own conversation."""
    labels: Int[Tensor, "row token"]
    """The token to be said at each place of an answer, IGNORED elsewhere; already shifted: it follows the token."""
    sees: Bool[Tensor, "row 1 token other"]
    """Which tokens each token attends to."""
    exchange: Int[Tensor, "row token"]
    """Number of the exchange in its row, from 1; 0 for the picture, -1 where padded."""

    def to(self, device: torch.device) -> PackedBatch:
        """The same on another device."""
        return PackedBatch(**{one.name: getattr(self, one.name).to(device) for one in fields(self)})


class Writer:
    """Writes pictures and exchanges as token ids."""

    def __init__(self, tokenizer: Any, tokens: SpecialTokens = SpecialTokens()) -> None:
        self._tokenizer = tokenizer
        start, context, stop = tokenizer.convert_tokens_to_ids(
            [tokens.image_start, tokens.image_context, tokens.image_end]
        )
        self._turn, self._end = tokenizer.convert_tokens_to_ids([tokens.turn_start, tokens.turn_end])
        self._newline = self._plain("\n")
        self.picture = [
            self._turn, *self._plain("user\n"), start, *[context] * TOKENS_PER_TILE, stop, *self._newline
        ]  # fmt: skip
        self._opened = [self._end, *self._newline, self._turn, *self._plain("assistant\n")]
        self.marks: tuple[int, int] = tuple(tokenizer.convert_tokens_to_ids([tokens.phrase_start, tokens.phrase_end]))
        self.next_question = [*self._newline, self._turn, *self._plain("user\n")]

    def _plain(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def exchange(self, one: Exchange) -> tuple[list[int], int]:
        """Token ids after the picture, and how many of them come before the answer."""
        asked = [*self._plain(one.question), *self._opened]
        return [*asked, *self._plain(one.answer), self._end], len(asked)


def draw_exchanges(picture: Picture, count: int, rng: Rng) -> list[Exchange]:
    """Some exchanges of a picture, each kind as likely as another whatever it has of them."""
    by_kind: dict[str, int] = {}
    for one in picture.exchanges:
        by_kind[one.kind] = by_kind.get(one.kind, 0) + 1
    weights = np.array([KIND_WEIGHTS.get(one.kind, 1.0) / by_kind[one.kind] for one in picture.exchanges])
    count = min(count, len(weights))
    chosen = rng.choice(len(weights), count, replace=False, p=weights / weights.sum()) if count else []
    return [picture.exchanges[int(number)] for number in chosen]


def pack(pictures: Sequence[Picture], chosen: Sequence[Sequence[Exchange]], writer: Writer) -> PackedBatch:
    """The pictures with the exchanges chosen for each."""
    rows = [_row(exchanges, writer) for exchanges in chosen]
    length = max(len(row[0]) for row in rows)
    filled = np.zeros((4, len(rows), length), np.int64)
    filled[2], filled[3] = IGNORED, -1
    for number, row in enumerate(rows):
        for part, values in enumerate(row):
            filled[part, number, : len(values)] = values
    ids, places, labels, exchange = torch.from_numpy(filled)
    order = torch.arange(length)
    same = exchange[:, :, None] == exchange[:, None, :]
    sees = (order[:, None] >= order) & (same | (exchange == 0)[:, None, :]) & (exchange >= 0)[:, None, :]
    sees |= (order[:, None] == order)[None]
    images = torch.from_numpy(np.stack([picture.image for picture in pictures])).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return PackedBatch(
        pixels=(images - mean) / std, ids=ids, places=places, labels=labels, sees=sees[:, None], exchange=exchange,
        what=torch.from_numpy(np.stack([picture.what for picture in pictures])),
        colour=torch.from_numpy(np.stack([picture.colour for picture in pictures])),
    )  # fmt: skip


def _row(exchanges: Sequence[Exchange], writer: Writer) -> tuple[list[int], list[int], list[int], list[int]]:
    start = len(writer.picture)
    ids, places = list(writer.picture), list(range(start))
    labels, numbers = [IGNORED] * start, [0] * start
    for number, one in enumerate(exchanges, start=1):
        said, asked = writer.exchange(one)
        ids += said
        places += range(start, start + len(said))
        labels += [IGNORED] * (asked - 1) + said[asked:] + [IGNORED]
        numbers += [number] * len(said)
    return ids, places, labels, numbers
