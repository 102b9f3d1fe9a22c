"""Text as it is written: pieces for a listener, and texts that end an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from vlm_bridge.decoding.answer_text import decoded

_UNFINISHED = "\ufffd"
"""What bytes of a character that is not whole yet are decoded to."""


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first of the texts in `stop`, and whether there was one.

    Example:
        >>> cut_at_stop("left. Right.", ("Right", "."))
        ('left', True)
    """
    places = [place for place in (text.find(end) for end in stop) if place >= 0]
    return (text[: min(places)], True) if places else (text, False)


def begun_stop(text: str, stop: Sequence[str]) -> int:
    """Letters at the end of `text` that may be the beginning of a text in `stop`.

    Example:
        >>> begun_stop("a b##", ("###",))
        2
    """
    lengths = (n for end in stop for n in range(min(len(end), len(text)), 0, -1) if text.endswith(end[:n]))
    return max(lengths, default=0)


class TextPieces(BaseStreamer):
    """Tells `on_text` what one row says, in pieces of whole characters that join to the text of the answer.

    Held back until it is settled: a character some of whose bytes are missing, and what may become a stop text. The end
    of turn and all after it are not told.
    """

    def __init__(self, tokenizer: Any, on_text: Callable[[str], None], ends: set[int], stop: Sequence[str]) -> None:
        self._tokenizer, self._on_text = tokenizer, on_text
        self._ends, self._stop = ends, tuple(stop)
        self._ids: list[int] = []
        # ids before `_told` are in the text so far; decoding starts at `_from`, so that spaces between words are kept
        self._from, self._told = 0, 0
        self._held = ""
        self._over = False

    def put(self, value: Tensor) -> None:
        """Take the next word; a prompt, which has an axis of rows, is not told."""
        if value.ndim > 1:
            return
        for number in value.tolist():
            self._over = self._over or number in self._ends
            if not self._over:
                self._ids.append(number)
        self._advance(last=False)

    def end(self) -> None:
        """Tell what was held back."""
        self._advance(last=True)

    def _advance(self, *, last: bool) -> None:
        before = decoded(self._tokenizer, self._ids[self._from : self._told])
        now = decoded(self._tokenizer, self._ids[self._from :])
        if not now.endswith(_UNFINISHED) or last:
            self._held += now[len(before) :]
            self._from, self._told = self._told, len(self._ids)
        settled, ended = cut_at_stop(self._held, self._stop)
        if not ended and not last:
            settled = self._held[: len(self._held) - begun_stop(self._held, self._stop)]
        if settled:
            self._on_text(settled)
        self._held = "" if ended else self._held[len(settled) :]
        if ended:
            self._over, self._ids, self._from, self._told = True, [], 0, 0


class StopTexts(StoppingCriteria):
    """Ends a row as soon as its answer holds one of some texts; a text that begins in the prompt does not count."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        # a token is a byte at least; three more may be needed to make the first character whole
        self._window = max(len(end.encode()) for end in stop) + 3
        self._start: int | None = None

    def __call__(self, input_ids: Int[Tensor, "row token"], scores: Any, **kwargs: Any) -> Bool[Tensor, " row"]:
        """True for rows that are over; made for one call of `generate`."""
        if self._start is None:
            self._start = input_ids.shape[1] - 1
        tails = input_ids[:, max(self._start, input_ids.shape[1] - self._window) :].tolist()
        over = [cut_at_stop(decoded(self._tokenizer, tail), self._stop)[1] for tail in tails]
        return torch.tensor(over, device=input_ids.device)
