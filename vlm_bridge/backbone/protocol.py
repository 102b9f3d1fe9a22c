"""`VisionLanguageBackbone`: what the rest of the toolkit asks of a model that sees and speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vlm_bridge.images.tile_batch import TileBatch, TilingConfig
from vlm_bridge.prompts.conversation import Conversation
from vlm_bridge.prompts.prompt_batch import PromptBatch
from vlm_bridge.prompts.special_tokens import SpecialTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneParts:
    """The three parts of a backbone, as modules that share no parameter, and their widths."""

    vision: nn.Module
    """Sees: tile -> patch features."""
    connector: nn.Module
    """Turns four patch features into one visual token of the language model."""
    language: nn.Module
    """Speaks: the decoder with its embeddings and head."""
    vision_width: int
    language_width: int
    tokens_per_tile: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneOutput:
    """What one pass over a batch gives."""

    logits: Float[Tensor, "row token word"]
    """At each place, of the next token."""
    hidden: Float[Tensor, "row token width"] | None
    """State of the last layer after its norm, where asked for."""


@runtime_checkable
class VisionLanguageBackbone(Protocol):
    """A model that sees and speaks.

    Everything a conversation needs is here, so that callers name no model: `encode` makes token ids and tiles of
    conversations, `forward` runs them, `generate` goes on from them.
    """

    model: Any
    """The module of transformers itself, for trainers, adapters and decoding strategies."""
    tokenizer: Any
    """A fast tokenizer of transformers that knows every text in `tokens`."""
    tokens: SpecialTokens
    tiling: TilingConfig

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        ...

    def parts(self) -> BackboneParts:
        """Vision, connector and language."""
        ...

    def encode(
        self,
        conversations: Sequence[Conversation],
        *,
        to_answer: bool,
        think: bool = False,
        max_tiles: int | None = None,
    ) -> PromptBatch:
        """Conversations as a batch on the device: with an opened answer (prefilled with think where asked) and padding
        on the left if they are `to_answer`, as they stand with padding on the right if not."""
        ...

    def encode_images(self, tiles: TileBatch) -> Float[Tensor, "tile token width"]:
        """Visual tokens, after the connector, as the language model sees them."""
        ...

    def forward(self, batch: PromptBatch, *, hidden: bool = False) -> BackboneOutput:
        """One pass over whole sequences."""
        ...

    def generate(self, batch: PromptBatch, **options: Any) -> torch.Tensor:
        """Ids Int[row, new token] that go on from the batch; `options` are those of transformers' `generate`."""
        ...
