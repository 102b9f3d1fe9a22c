"""`choose`: which of some answers is the likeliest, with the exact probability of each."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.decoding.choice_trie import choice_ids
from vlm_bridge.decoding.prompt_inputs import PromptInputs, embed_prompt
from vlm_bridge.prompts.conversation import Conversation

_CHOICES_AT_ONCE = 8
"""Choices read in one pass; each needs a copy of the keys and values of the prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The likeliest of some answers."""

    number: int
    """Which of the choices, from 0."""
    text: str
    log_probabilities: Float[Tensor, " choice"]
    """Of saying each choice, word for word, and then ending the turn."""
    scores: Float[Tensor, " choice"]
    """What was compared: the log-probabilities, or their mean per token."""

    @property
    def shares(self) -> Float[Tensor, " choice"]:
        """Scores as parts of one, as though nothing but the choices could be said."""
        return self.scores.softmax(0)


@torch.no_grad()
def choose(
    backbone: VisionLanguageBackbone,
    conversations: Sequence[Conversation],
    choices: Sequence[str],
    *,
    per_token: bool = False,
    max_tiles: int | None = None,
) -> list[Choice]:
    """For each conversation the likeliest choice: each is scored whole, where spelling word by word can go astray.

    Prompts and pictures are read once, whatever the number of choices.

    Args:
        backbone: Sees and speaks.
        conversations: Each ends with a user's turn.
        choices: Texts, all different.
        per_token: Compare means per token, the end of turn included, so that long choices are not at a disadvantage.
        max_tiles: Most tiles of a picture; the backbone's own number where None.

    Raises:
        InvalidInputError: there are no choices, or they are not all different.
    """
    spelled = choice_ids(backbone, choices)
    if not conversations:
        return []
    prompt = embed_prompt(backbone, backbone.encode(conversations, to_answer=True, max_tiles=max_tiles))
    cache = DynamicCache(config=backbone.model.config)
    first = backbone.model(
        inputs_embeds=prompt.embeddings,
        attention_mask=None if prompt.attention is None else prompt.attention.long(),
        position_ids=prompt.positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    groups = [spelled[start : start + _CHOICES_AT_ONCE] for start in range(0, len(spelled), _CHOICES_AT_ONCE)]
    parts = [_log_probabilities(backbone, prompt, cache, first, group) for group in groups]
    likely = torch.cat(parts, dim=1).cpu()
    lengths = torch.tensor([len(ids) for ids in spelled])
    scores = likely / lengths if per_token else likely
    return [
        Choice(number=int(best), text=choices[int(best)], log_probabilities=likely[row], scores=scores[row])
        for row, best in enumerate(scores.argmax(1).tolist())
    ]


def _log_probabilities(
    backbone: VisionLanguageBackbone,
    prompt: PromptInputs,
    cache: DynamicCache,
    first: Float[Tensor, "row word"],
    spelled: Sequence[Sequence[int]],
) -> Float[Tensor, "row choice"]:
    rows, count, longest = len(first), len(spelled), max(len(ids) for ids in spelled)
    words: Int[Tensor, "choice token"] = torch.zeros(count, longest, dtype=torch.long, device=first.device)
    said = torch.zeros_like(words, dtype=torch.bool)
    for number, ids in enumerate(spelled):
        words[number, : len(ids)] = torch.tensor(ids, device=words.device)
        said[number, : len(ids)] = True
    logits = first[:, None, None].expand(-1, count, -1, -1)
    if longest > 1:
        branch = copy.deepcopy(cache)
        branch.batch_repeat_interleave(count)
        seen = torch.ones_like(prompt.positions, dtype=torch.bool) if prompt.attention is None else prompt.attention
        places = prompt.positions[:, -1:] + torch.arange(1, longest, device=words.device)
        rest = backbone.model(
            input_ids=words[:, :-1].repeat(rows, 1),
            attention_mask=torch.cat([seen.repeat_interleave(count, 0), said[:, :-1].repeat(rows, 1)], 1).long(),
            position_ids=places.repeat_interleave(count, 0),
            past_key_values=branch,
            use_cache=True,
        ).logits
        logits = torch.cat([logits, rest.unflatten(0, (rows, count))], dim=2)
    of_words = logits.float().log_softmax(-1).gather(-1, words.expand(rows, -1, -1)[..., None])[..., 0]
    return (of_words * said).sum(-1)
