"""`Branches`: the two branches of positional contrastive decoding in one batch with one cache.

Rows 0 to N - 1 of the batch are the prompts as they are. Behind them the same prompts stand again, those at least that
are contrasted, and turn by perturbed frequencies in every layer; so they have keys and values of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import DynamicCache

from vlm_bridge.decoding.config import PcdConfig
from vlm_bridge.decoding.prompt_inputs import PromptInputs
from vlm_bridge.decoding.rope_frequencies import perturbed_frequencies, rope_base
from vlm_bridge.decoding.row_rope import row_frequencies, text_rotary


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchLogits:
    """What both branches say about the next word, in float32."""

    plain: Float[Tensor, "row word"]
    local: Float[Tensor, "row word"]
    """Equal to `plain` in rows that are not contrasted."""


class Branches:
    """A model that reads prompts twice, and then word by word, the same words in both branches."""

    def __init__(self, model: Any, prompt: PromptInputs, config: PcdConfig) -> None:
        """Nothing is read yet.

        Raises:
            BackboneError: the model has no rotary positions that can be perturbed.
        """
        self._model = model
        self._prompt = prompt
        self._rotary: Any = text_rotary(model)
        base = rope_base(self._rotary.config)
        own = self._rotary.inv_freq.float()
        self.contrasted: Bool[Tensor, " row"] = prompt.lengths >= config.min_context
        """Rows whose prompt is long enough."""
        twice = self.contrasted.nonzero()[:, 0]
        rows = len(self.contrasted)
        # rows of the prompt, in the order of the batch
        self._rows = torch.cat([torch.arange(rows, device=twice.device), twice])
        moved = perturbed_frequencies(own, base, config)
        self._frequencies = torch.where((torch.arange(len(self._rows)) < rows)[:, None].to(own.device), own, moved)
        self.cache = DynamicCache(config=model.config)
        """Keys and values: one row per row of the batch."""
        self._attention = None if prompt.attention is None else prompt.attention[self._rows]
        self._place = prompt.positions[self._rows, -1:]
        self._options: dict[str, Any] = {"use_cache": True, "return_dict": True, "past_key_values": self.cache}
        if model._supports_logits_to_keep():
            self._options["logits_to_keep"] = 1

    def read_prompt(self, chunk: int | None = None) -> BranchLogits:
        """Read the prompts, `chunk` tokens at a time where given; the logits of the first new word."""
        tokens = self._prompt.positions.shape[1]
        size = chunk or tokens
        positions = self._prompt.positions[self._rows]
        for start in range(0, tokens, size):
            piece = slice(start, min(start + size, tokens))
            logits = self._pass(self._piece(piece), positions[:, piece], piece.stop)
        return self._split(logits)

    def read_words(self, words: Int[Tensor, " row"]) -> BranchLogits:
        """Read one word per prompt; the logits of the next."""
        self._place = self._place + 1
        if self._attention is not None:
            self._attention = nn.functional.pad(self._attention, (0, 1), value=True)
        return self._split(self._pass({"input_ids": words[self._rows, None]}, self._place, None))

    def _piece(self, piece: slice) -> dict[str, Tensor]:
        if self._prompt.embeddings is not None:
            return {"inputs_embeds": self._prompt.embeddings[:, piece][self._rows]}
        if self._prompt.ids is None:
            return {}
        return {"input_ids": self._prompt.ids[:, piece][self._rows]}

    def _pass(self, read: dict[str, Tensor], positions: Tensor, seen: int | None) -> Tensor:
        attention = None if self._attention is None else self._attention[:, :seen].long()
        with row_frequencies(self._rotary, self._frequencies):
            output = self._model(**read, attention_mask=attention, position_ids=positions, **self._options)
        return output.logits[:, -1].float().to(self._place.device)

    def _split(self, logits: Tensor) -> BranchLogits:
        rows = len(self.contrasted)
        plain = logits[:rows]
        local = plain.clone()
        local[self.contrasted] = logits[rows:]
        return BranchLogits(plain=plain, local=local)
