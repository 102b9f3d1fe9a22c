"""`InternVLBackbone`: InternVL of transformers (and Skywork-R1V3, converted) as a `VisionLanguageBackbone`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import get_ident
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import InternVLForConditionalGeneration, PreTrainedTokenizerFast

from vlm_bridge.backbone.protocol import BackboneOutput, BackboneParts
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.images.cut_tiles import cut_tiles
from vlm_bridge.images.tile_batch import TileBatch, TilingConfig
from vlm_bridge.prompts.batch_prompts import batch_prompts
from vlm_bridge.prompts.conversation import Conversation
from vlm_bridge.prompts.encode_conversation import EncodedConversation, encode_conversation, special_id
from vlm_bridge.prompts.plain_text import encode_plain
from vlm_bridge.prompts.prompt_batch import PromptBatch
from vlm_bridge.prompts.special_tokens import SpecialTokens


class InternVLBackbone:
    """A model of the InternVL family with its tokenizer and its way of cutting pictures."""

    def __init__(
        self, model: Any, tokenizer: PreTrainedTokenizerFast, tiling: TilingConfig, tokens: SpecialTokens | None = None
    ) -> None:
        """Put the parts together; `model` may be wrapped (adapters), it holds one InternVL.

        Raises:
            BackboneError: the parts are of different models.
        """
        self.model = model
        self.tokenizer = tokenizer
        self.tiling = tiling
        self.tokens = tokens or SpecialTokens()
        _check_parts(self._internvl(), tokenizer, tiling, self.tokens)

    @property
    def device(self) -> torch.device:
        """Where the model is; where its first layers are if it is spread out."""
        return self._internvl().device

    def parts(self) -> BackboneParts:
        """Vision, connector and language; the head belongs to the language, tied to its embeddings or not."""
        internvl = self._internvl()
        config = internvl.config
        return BackboneParts(
            vision=internvl.model.vision_tower,
            connector=internvl.model.multi_modal_projector,
            language=nn.ModuleDict({"decoder": internvl.model.language_model, "head": internvl.lm_head}),
            vision_width=config.vision_config.hidden_size,
            language_width=config.text_config.hidden_size,
            tokens_per_tile=config.image_seq_length,
        )

    def encode(
        self,
        conversations: Sequence[Conversation],
        *,
        to_answer: bool,
        think: bool = False,
        max_tiles: int | None = None,
    ) -> PromptBatch:
        """Conversations as a batch on the device: with an opened answer (prefilled with think where asked) and padding
        on the left if they are `to_answer`, as they stand with padding on the right if not.

        Raises:
            InvalidInputError: no conversation, a picture is damaged, or `max_tiles` is below 1; also what
                `encode_conversation` refuses.
        """
        tiles = cut_tiles([image for one in conversations for image in one.images], self._tiling(max_tiles))
        counts = iter(tiles.counts)
        encoded = [
            self._encode_one(one, [next(counts) for _ in one.images], to_answer=to_answer, think=think)
            for one in conversations
        ]
        batch = batch_prompts(encoded, self._pad_id(), tiles, pad_left=to_answer)
        return batch.to(self.device, self._internvl().dtype)

    def encode_images(self, tiles: TileBatch) -> Float[Tensor, "tile token width"]:
        """Visual tokens, after the connector, as the language model sees them."""
        pixels = tiles.pixels.to(self.device, self._internvl().dtype)
        return self._internvl().get_image_features(pixel_values=pixels).pooler_output

    def forward(self, batch: PromptBatch, *, hidden: bool = False) -> BackboneOutput:
        """One pass over whole sequences; positions are counted from the first token that is not padding."""
        positions = (batch.attention.long().cumsum(1) - 1).clamp(min=0)
        with self._head_input(hidden) as states:
            logits = self.model(**_inputs(batch), position_ids=positions, use_cache=False).logits
        return BackboneOutput(logits=logits, hidden=states[0] if hidden else None)

    def generate(self, batch: PromptBatch, **options: Any) -> Int[Tensor, "row token"]:
        """Ids that go on from the batch; `options` are those of transformers' `generate`.

        Generation ends at the end of the turn, and where the model's own settings say; rows that end early are filled
        up with the padding token.

        Raises:
            InvalidInputError: `return_dict_in_generate` is asked for; call `model.generate` for it.
        """
        if options.get("return_dict_in_generate"):
            raise InvalidInputError(
                "Generate: expected options that give token ids, found return_dict_in_generate. "
                "Call generate of backbone.model for scores and states."
            )
        settings = {"eos_token_id": self._end_ids(), "pad_token_id": self._pad_id()} | options
        ids = self.model.generate(**_inputs(batch), **settings)
        return ids[:, batch.ids.shape[1] :]

    def _internvl(self) -> Any:
        found = (module for module in self.model.modules() if isinstance(module, InternVLForConditionalGeneration))
        internvl = next(found, None)
        if internvl is None:
            raise BackboneError(
                f"Backbone: expected an InternVLForConditionalGeneration, found {type(self.model).__name__}. "
                "Load it with load_backbone."
            )
        return internvl

    def _tiling(self, max_tiles: int | None) -> TilingConfig:
        if max_tiles is None:
            return self.tiling
        return replace(self.tiling, max_tiles=max_tiles, min_tiles=max(1, min(self.tiling.min_tiles, max_tiles)))

    def _encode_one(
        self, conversation: Conversation, counts: list[int], *, to_answer: bool, think: bool
    ) -> EncodedConversation:
        tokens = known_tokens(self.tokenizer, self.tokens)
        spelled = think and to_answer and tokens.think_start != self.tokens.think_start
        encoded = encode_conversation(
            conversation,
            self.tokenizer,
            tokens,
            counts,
            self._internvl().config.image_seq_length,
            to_answer=to_answer,
            think=think and not spelled,
        )
        if not spelled:
            return encoded
        opened = encode_plain(f"{self.tokens.think_start}\n", self.tokenizer, tokens)
        return EncodedConversation(ids=encoded.ids + opened, answers=encoded.answers + [False] * len(opened))

    def _pad_id(self) -> int:
        padding = self.tokenizer.pad_token_id
        return padding if isinstance(padding, int) else special_id(self.tokens.turn_end, self.tokenizer)

    def _end_ids(self) -> list[int]:
        own = self._internvl().generation_config.eos_token_id
        ends = [] if own is None else [own] if isinstance(own, int) else list(own)
        return sorted({*ends, special_id(self.tokens.turn_end, self.tokenizer)})

    @contextmanager
    def _head_input(self, wanted: bool) -> Iterator[list[Tensor]]:
        """What the head is given while the block runs, in this thread: the last state after its norm."""
        states: list[Tensor] = []
        if not wanted:
            yield states
            return
        thread = get_ident()

        def keep(_: nn.Module, given: tuple[Any, ...]) -> None:
            if get_ident() == thread:
                states.append(given[0])

        handle = self._internvl().get_output_embeddings().register_forward_pre_hook(keep)
        try:
            yield states
        finally:
            handle.remove()


def known_tokens(tokenizer: PreTrainedTokenizerFast, tokens: SpecialTokens) -> SpecialTokens:
    """`tokens` without those of thinking where the tokenizer has none: InternVL3 and Skywork-R1V3 learned to spell
    them in ordinary words, so they must not be made special tokens."""
    known = tokenizer.backend_tokenizer.token_to_id
    if known(tokens.think_start) is not None and known(tokens.think_end) is not None:
        return tokens
    return replace(tokens, think_start=tokens.turn_start, think_end=tokens.turn_end)


def _inputs(batch: PromptBatch) -> dict[str, Any]:
    inputs: dict[str, Any] = {"input_ids": batch.ids, "attention_mask": batch.attention.long()}
    return inputs if batch.tiles is None else inputs | {"pixel_values": batch.tiles.pixels}


def _check_parts(
    internvl: Any,
    tokenizer: PreTrainedTokenizerFast,
    tiling: TilingConfig,
    tokens: SpecialTokens,
) -> None:
    config = internvl.config
    for text in (tokens.turn_start, tokens.turn_end, tokens.image_start, tokens.image_end):
        special_id(text, tokenizer)
    context = special_id(tokens.image_context, tokenizer)
    if context != config.image_token_id:
        raise BackboneError(
            f"Backbone: expected {tokens.image_context} to be the model's token {config.image_token_id}, found "
            f"{context}. Tokenizer and model are of two backbones."
        )
    side, patch = config.vision_config.image_size[0], config.vision_config.patch_size[0]
    if tiling.tile_size != side:
        raise BackboneError(
            f"Backbone: expected tiles of side {side} as the vision tower sees them, found {tiling.tile_size}. "
            "Correct the size in preprocessor_config.json."
        )
    visual = int((side // patch) ** 2 * config.downsample_ratio**2)
    if visual != config.image_seq_length:
        raise BackboneError(
            f"Backbone: expected {visual} visual tokens per tile (side {side}, patches {patch}, ratio "
            f"{config.downsample_ratio}), found image_seq_length {config.image_seq_length}. Correct config.json."
        )
