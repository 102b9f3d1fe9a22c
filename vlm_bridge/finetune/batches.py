"""Conversations as batches of a trainer: labels where an assistant speaks, and an order that groups equal lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import Sampler

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.prompts.conversation import Conversation

IGNORED = -100
"""Label of a token the loss leaves out, as PyTorch and transformers have it."""
BATCHES_SORTED = 50
"""So many batches' worth of records, drawn by chance, are sorted by length together."""


class ConversationCollator:
    """Makes the keyword arguments of the backbone's model from conversations."""

    def __init__(
        self, backbone: VisionLanguageBackbone, *, max_length: int | None = None, max_tiles: int | None = None
    ) -> None:
        """Nothing is ever cut: a batch longer than `max_length` tokens is refused."""
        self.backbone = backbone
        self.max_length = max_length
        self.max_tiles = max_tiles

    def __call__(self, conversations: Sequence[Conversation]) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask`, `labels` (-100 outside answers) and, where there are pictures,
        `pixel_values`; padded on the right.

        Raises:
            InvalidInputError: a conversation is longer than the limit, or says nothing to learn.
        """
        batch = self.backbone.encode(conversations, to_answer=False, max_tiles=self.max_tiles)
        if self.max_length is not None and batch.ids.shape[1] > self.max_length:
            raise InvalidInputError(
                f"Batch: expected at most {self.max_length} tokens, found {batch.ids.shape[1]}. Raise the limit, show "
                "fewer tiles (max_tiles) or shorten the conversation; cutting it would lose its picture or answer."
            )
        # The first token has no token before it that could predict it.
        if not batch.answers[:, 1:].any(dim=1).all():
            raise InvalidInputError(
                "Batch: expected an answer in each conversation, found one without. Add the answer to learn."
            )
        inputs = {
            "input_ids": batch.ids,
            "attention_mask": batch.attention.long(),
            "labels": batch.ids.masked_fill(~batch.answers, IGNORED),
        }
        if batch.tiles is not None:
            inputs["pixel_values"] = batch.tiles.pixels
        return inputs


class LengthBuckets(Sampler[int]):
    """Each record once per epoch, in an order in which the records of a batch are about as long.

    Records are shuffled, the next `BATCHES_SORTED` batches' worth sorted by length and cut into batches, and these
    shuffled. The batch with the longest record comes first: memory runs out at once or not at all. The order depends
    on the seed and the epoch alone, so that a resumed run finds its place.

    Example:
        >>> order = list(LengthBuckets([5, 1, 5, 1], batch_size=2, seed=0))
        >>> sorted(order[:2]), sorted(order[2:])
        ([0, 2], [1, 3])
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int, sort: bool = True) -> None:
        """`sort=False` only shuffles."""
        if batch_size < 1 or not lengths:
            raise InvalidInputError(
                f"Batches: expected batch_size >= 1 and at least one record, found {batch_size} and {len(lengths)}."
            )
        self.lengths = tuple(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.sort = sort
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        """How many records there are."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Numbers of records; the trainer takes `batch_size` at a time."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        if not self.sort:
            return iter(order)
        batches = []
        width = self.batch_size * BATCHES_SORTED
        for start in range(0, len(order), width):
            group = sorted(order[start : start + width], key=lambda number: -self.lengths[number])
            batches += [group[at : at + self.batch_size] for at in range(0, len(group), self.batch_size)]
        return iter(_shuffled(batches, self._longest(batches), generator))

    def _longest(self, batches: list[list[int]]) -> int:
        return max(range(len(batches)), key=lambda number: max(self.lengths[record] for record in batches[number]))


def _shuffled(batches: list[list[int]], first: int, generator: torch.Generator) -> list[int]:
    """Records of the batches: `first`, then the others by chance; a batch that is not full stays last."""
    full = len(batches) if len(batches[-1]) == len(batches[0]) else len(batches) - 1
    order = [number for number in torch.randperm(full, generator=generator).tolist() if number != first]
    head = [first] if first < full else []
    tail = list(range(full, len(batches)))
    return [record for number in [*head, *order, *tail] for record in batches[number]]


def kept_records(
    lengths: Sequence[int], max_length: int | None, too_long: Literal["refuse", "drop"], places: Sequence[str]
) -> list[int]:
    """Numbers of the records of at most `max_length` tokens.

    Raises:
        InvalidInputError: some are longer and `too_long` is refuse, or all are.
    """
    kept = [number for number, length in enumerate(lengths) if max_length is None or length <= max_length]
    dropped = sorted(set(range(len(lengths))) - set(kept))
    if dropped and (too_long == "refuse" or not kept):
        longest = max(dropped, key=lambda number: lengths[number])
        raise InvalidInputError(
            f"Training records: expected at most {max_length} tokens each, found {len(dropped)} of {len(lengths)} "
            f"longer, up to {lengths[longest]} tokens ({places[longest]}). Raise max_length, show fewer tiles "
            "(max_tiles), shorten them, or leave them out (too_long='drop')."
        )
    return kept
