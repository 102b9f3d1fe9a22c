"""What a model is adapted to in `adapter_comparison`: tasks, each a small object with a start, a loss and a score.

A new task is a class with these members and a line in `TASKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from transformers import Qwen2ForCausalLM

from data.recipes.key_value.task import ASK, NOT_ASKED, PAIR_TOKENS, QUESTION_TOKENS, questions
from vlm_bridge.assets import asset_path

HeldOut = Literal["validation", "test"]


class AdaptationTask(Protocol):
    """A pretrained model, and something it has not learned yet."""

    name: str
    """Of the table and the file of results."""
    steps: int
    """Optimiser steps of a run."""
    targets: Any
    """Names of the linear layers to adapt, as PEFT takes them in `target_modules`."""

    def start(self) -> Any:
        """The pretrained model, fresh each time."""
        ...

    def loss(self, model: Any, seed: int, step: int) -> Tensor:
        """Of the batch of a step; equal seeds give equal batches."""
        ...

    def score(self, model: Any, held_out: HeldOut) -> dict[str, Any]:
        """`loss` (lower is better) and `accuracy` on examples that are never learned from.

        Where there are patients, `patients` has the accuracy of each, in an order that is always the same.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ReversedKeys:
    """The embedded model that looks values up by their keys, asked with the two letters of each key in reverse.

    Before adaptation it answers a sixth of such questions (lists of six pairs, six questions each).
    """

    name: str = "reversed_keys"
    steps: int = 100
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    pairs: int = 6
    """Of a list; each is asked for."""
    rows: int = 6
    """Lists of a batch."""

    def start(self) -> Qwen2ForCausalLM:
        """The embedded model in float32."""
        return Qwen2ForCausalLM.from_pretrained(asset_path("key_value_tiny"), dtype=torch.float32)

    def loss(self, model: Any, seed: int, step: int) -> Tensor:
        """Mean cross-entropy of the values."""
        logits, wanted = self._answers(model, self.rows, 1_000 * seed + step)
        return torch.nn.functional.cross_entropy(logits, wanted)

    @torch.no_grad()
    def score(self, model: Any, held_out: HeldOut) -> dict[str, Any]:
        """Over 128 lists, 768 questions."""
        model.eval()
        first = {"validation": 10**8, "test": 2 * 10**8}[held_out]
        parts = [self._answers(model, 32, first + number) for number in range(4)]
        logits, wanted = (torch.cat(side) for side in zip(*parts, strict=True))
        right = (logits.argmax(-1) == wanted).float().mean()
        return {"loss": float(torch.nn.functional.cross_entropy(logits, wanted)), "accuracy": float(right)}

    def _answers(self, model: Any, rows: int, seed: int) -> tuple[Tensor, Tensor]:
        made = questions(rows, self.pairs, self.pairs, torch.Generator().manual_seed(seed))
        ids = made.ids.clone()
        asked = ids[:, 1 + PAIR_TOKENS * self.pairs :].view(rows, self.pairs, QUESTION_TOKENS)
        if not bool((asked[..., 0] == ASK).all()):
            raise ValueError(f"expected a question mark at each question, found tokens {asked[..., 0].unique()}")
        asked[..., 1:3] = asked[..., 1:3].flip(-1)
        logits = model(input_ids=ids).logits[:, :-1]
        wanted = made.labels[:, 1:]
        at = wanted != NOT_ASKED
        return logits[at], wanted[at]


def _few_shot(shared: Path, work: Path) -> AdaptationTask:
    from benchmarks.few_shot_medical import FewShotHippocampus

    return FewShotHippocampus(shared=shared, work=work)


TASKS: dict[str, Callable[[Path, Path], Any]] = {
    "reversed_keys": lambda shared, work: ReversedKeys(), "few_shot_hippocampus": _few_shot,
}  # fmt: skip
"""Maker by name, given the folder of the shared data and one to write to."""
