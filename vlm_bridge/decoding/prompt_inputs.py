"""`PromptInputs`: a prompt as the language model reads it, made of what transformers' `generate` hands a strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.prompts.prompt_batch import PromptBatch

_OURS = {
    "attention_mask", "position_ids", "inputs_embeds", "pixel_values", "mm_encoder_outputs", "past_key_values",
    "use_cache", "logits_to_keep", "synced_gpus", "output_attentions", "output_hidden_states", "return_dict",
}  # fmt: skip
"""Keyword arguments that are read, or made anew for each pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptInputs:
    """One prompt per row, padded on the left. Either `ids` or `embeddings` is what the model reads."""

    ids: Int[Tensor, "row token"] | None
    embeddings: Float[Tensor, "row token width"] | None
    """Of words and, in their places, of pictures, which were encoded once."""
    attention: Bool[Tensor, "row token"] | None
    """False where padded; None if nothing is."""
    positions: Int[Tensor, "row token"]
    """From 0 at the first token of each row; padding has any."""

    @property
    def lengths(self) -> Int[Tensor, " row"]:
        """Tokens of each row, padding not counted."""
        if self.attention is None:
            return torch.full((len(self.positions),), self.positions.shape[1], device=self.positions.device)
        return self.attention.sum(1)


def prompt_inputs(model: Any, ids: Int[Tensor, "row token"], given: dict[str, Any]) -> PromptInputs:
    """The prompt of `ids` and of the keyword arguments `given` with it.

    Raises:
        InvalidInputError: an argument is unknown, rows are padded on the right, or a cache has a beginning already.
    """
    unknown = sorted(name for name, value in given.items() if name not in _OURS and value is not None)
    if unknown or given.get("synced_gpus"):
        raise InvalidInputError(
            f"Positional contrastive decoding: expected arguments among {', '.join(sorted(_OURS))}, on one device, "
            f"found {', '.join(unknown) or 'synced_gpus=True'}. Leave it out."
        )
    _check_cache(given.get("past_key_values"))
    embeddings = given.get("inputs_embeds")
    if embeddings is None:
        embeddings = _with_pictures(model, ids, given)
    rows, tokens = ids.shape if embeddings is None else embeddings.shape[:2]
    attention = _padding(given.get("attention_mask"), rows, tokens)
    positions = given.get("position_ids")
    if positions is None and attention is not None:
        positions = (attention.long().cumsum(1) - 1).clamp(min=0)
    if positions is None:
        positions = torch.arange(tokens, device=ids.device)[None]
    return PromptInputs(
        ids=ids if embeddings is None else None,
        embeddings=embeddings,
        attention=attention,
        positions=positions.expand(rows, -1),
    )


def _check_cache(cache: Any) -> None:
    if cache is None:
        return
    if getattr(cache, "is_compileable", False):
        raise InvalidInputError(
            f"Positional contrastive decoding: expected a cache that grows, found {type(cache).__name__}. "
            "Leave cache_implementation out: the strategy makes a cache with room for its second branch."
        )
    if cache.get_seq_length():
        raise InvalidInputError(
            f"Positional contrastive decoding: expected a whole prompt, found a cache of "
            f"{cache.get_seq_length()} tokens that one branch alone has read. Leave past_key_values out."
        )


def _with_pictures(model: Any, ids: Tensor, given: dict[str, Any]) -> Tensor | None:
    """Embeddings of `ids` with pictures in their places; None where there are no pictures."""
    encoded = (given.get("mm_encoder_outputs") or {}).get("image")
    if encoded is None and given.get("pixel_values") is not None:
        encoded = model.get_image_features(pixel_values=given["pixel_values"], return_dict=True)
    if encoded is None:
        return None
    words = model.get_input_embeddings()(ids)
    return _filled(words, ids == model.config.image_token_id, encoded.pooler_output)


def _filled(words: Tensor, places: Bool[Tensor, "row token"], seen: Tensor) -> Float[Tensor, "row token width"]:
    """Embeddings of words, and at `places` those of visual tokens in order."""
    if int(places.sum()) * words.shape[-1] != seen.numel():
        raise BackboneError(
            f"Pictures: expected {seen.numel() // words.shape[-1]} image tokens in the prompt, one per visual token, "
            f"found {int(places.sum())}. Encode prompt and pictures together."
        )
    return words.masked_scatter(places[..., None].expand_as(words), seen.to(words))


def _padding(attention: Tensor | None, rows: int, tokens: int) -> Tensor | None:
    if attention is None or bool((attention != 0).all()):
        return None
    padded = attention != 0
    if padded.shape != (rows, tokens) or not bool(padded[:, -1].all()) or bool((padded.int().diff(dim=1) < 0).any()):
        raise InvalidInputError(
            f"attention_mask: expected shape ({rows}, {tokens}) with padding on the left alone, found shape "
            f"{tuple(padded.shape)}{'' if padded.shape != (rows, tokens) else ' with gaps or padding on the right'}. "
            "Pad on the left."
        )
    return padded


def embed_prompt(backbone: VisionLanguageBackbone, batch: PromptBatch) -> PromptInputs:
    """A batch with its pictures encoded and in their places."""
    words = backbone.model.get_input_embeddings()(batch.ids)
    if batch.tiles is not None:
        context = backbone.tokenizer.convert_tokens_to_ids(backbone.tokens.image_context)
        words = _filled(words, batch.ids == context, backbone.encode_images(batch.tiles))
    attention = _padding(batch.attention, *batch.ids.shape)
    positions = (batch.attention.long().cumsum(1) - 1).clamp(min=0)
    return PromptInputs(ids=None, embeddings=words, attention=attention, positions=positions)
