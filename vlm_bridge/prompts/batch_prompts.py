"""`batch_prompts`: encoded conversations side by side, padded to the longest."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.images.tile_batch import TileBatch
from vlm_bridge.prompts.encode_conversation import EncodedConversation
from vlm_bridge.prompts.prompt_batch import PromptBatch


def batch_prompts(
    encoded: Sequence[EncodedConversation], pad_id: int, tiles: TileBatch | None, *, pad_left: bool
) -> PromptBatch:
    """Conversations as rows, filled up with `pad_id` on the left (to be answered) or on the right (to be learned from).

    `tiles` are those of all pictures in the order of rows; a batch of no tiles counts as None.

    Example:
        >>> long, short = (EncodedConversation(ids=ids, answers=[True] * len(ids)) for ids in ([5, 6], [7]))
        >>> batch_prompts([long, short], 0, None, pad_left=True).ids.tolist()
        [[5, 6], [0, 7]]

    Raises:
        InvalidInputError: there is no conversation.
    """
    if not encoded:
        raise InvalidInputError("Batch of prompts: expected at least one conversation, found none. Skip the batch.")
    size = (len(encoded), max(len(row.ids) for row in encoded))
    ids = torch.full(size, pad_id)
    attention = torch.zeros(size, dtype=torch.bool)
    answers = torch.zeros(size, dtype=torch.bool)
    for number, row in enumerate(encoded):
        length = len(row.ids)
        place = slice(size[1] - length, None) if pad_left else slice(length)
        ids[number, place] = torch.tensor(row.ids, dtype=torch.long)
        attention[number, place] = True
        answers[number, place] = torch.tensor(row.answers, dtype=torch.bool)
    shown = tiles if tiles is not None and tiles.counts else None
    return PromptBatch(ids=ids, attention=attention, answers=answers, tiles=shown)
