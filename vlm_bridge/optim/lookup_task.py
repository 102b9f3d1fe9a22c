"""Looking values up: a list of pairs, then questions for the value of a key.

A pair is three tokens, two of the key and one of its value; a question is a mark and the key again, and its answer one
token, the value. Keys of a list are distinct, values are not. Tokens are numbers: 0 pads, 1 begins, 2 asks, then the
letters of keys, then the values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

PAD, BEGIN, ASK = 0, 1, 2
_FIRST_LETTER = 3
LETTERS, VALUES = 32, 64
"""32 letters make 1,024 keys: enough for lists of four times the training length."""
FIRST_VALUE = _FIRST_LETTER + LETTERS
VOCABULARY = FIRST_VALUE + VALUES
PAIR_TOKENS, QUESTION_TOKENS = 3, 4
NOT_ASKED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Sequences of pairs and answered questions."""

    ids: Int[Tensor, "row token"]
    labels: Int[Tensor, "row token"]
    """The value at the places of answers, -100 elsewhere."""
    depth: Int[Tensor, "row question"]
    """Number of the pair each question asks for, 0 for the first of the list."""


def questions(rows: int, pairs: int, asked: int, generator: torch.Generator) -> Questions:
    """Lists of `pairs` pairs, each followed by `asked` questions for different keys of it.

    Example:
        >>> made = questions(2, 4, 3, torch.Generator().manual_seed(0))
        >>> made.ids.shape
        torch.Size([2, 25])
        >>> int((made.labels != NOT_ASKED).sum())
        6
    """
    keys = torch.rand(rows, LETTERS**2, generator=generator).argsort(1)[:, :pairs]
    values = FIRST_VALUE + torch.randint(VALUES, (rows, pairs), generator=generator)
    letters = _FIRST_LETTER + torch.stack([keys // LETTERS, keys % LETTERS], -1)
    listed = torch.cat([letters, values[..., None]], -1)
    depth = torch.rand(rows, pairs, generator=generator).argsort(1)[:, :asked]
    mark = torch.full((rows, asked, 1), ASK)
    repeated = torch.cat([mark, listed.gather(1, depth[..., None].expand(-1, -1, PAIR_TOKENS))], -1)
    ids = torch.cat([torch.full((rows, 1), BEGIN), listed.flatten(1), repeated.flatten(1)], 1)
    labels = torch.full_like(ids, NOT_ASKED)
    answers = slice(1 + PAIR_TOKENS * pairs + QUESTION_TOKENS - 1, None, QUESTION_TOKENS)
    labels[:, answers] = ids[:, answers]
    return Questions(ids=ids, labels=labels, depth=depth)


def prompts(rows: int, pairs: int, seed: int) -> tuple[Int[Tensor, "row token"], Int[Tensor, " row"]]:
    """Prompts that ask for one value each, and the values."""
    made = questions(rows, pairs, 1, torch.Generator().manual_seed(seed))
    return made.ids[:, :-1], made.ids[:, -1]
