"""The tokenizer of the small backbone: byte-level BPE over what is said of the pictures, InternVL's special tokens.

Any text can be written in it, whatever it was trained on; digits stand alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from vlm_bridge.prompts.special_tokens import SpecialTokens

WORDS = 1536
"""Size of the vocabulary, special tokens included."""
_END_OF_TEXT = "<|endoftext|>"
_VIDEO = "<video>"
_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Where words end: as Qwen2 does it."""


def train_tokenizer(texts: Iterable[str], tokens: SpecialTokens) -> PreTrainedTokenizerFast:
    """A tokenizer trained on `texts` that knows every special token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([  # pyright: ignore[reportAttributeAccessIssue]
        pre_tokenizers.Split(Regex(_PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    special = [
        _END_OF_TEXT, tokens.turn_start, tokens.turn_end, tokens.image_start, tokens.image_context, tokens.image_end,
        _VIDEO, tokens.think_start, tokens.think_end, *tokens.grounding,
    ]  # fmt: skip
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=tokens.turn_end, pad_token=_END_OF_TEXT, model_max_length=4096,
        clean_up_tokenization_spaces=False,
        extra_special_tokens={
            "start_image_token": tokens.image_start, "end_image_token": tokens.image_end,
            "context_image_token": tokens.image_context, "video_token": _VIDEO,
        },
    )  # fmt: skip
