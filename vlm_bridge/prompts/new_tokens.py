"""`add_special_tokens`: a tokenizer learns the special tokens that it lacks."""

from __future__ import annotations

from dataclasses import astuple

from transformers import AddedToken, PreTrainedTokenizerFast

from vlm_bridge.prompts.special_tokens import SpecialTokens


def add_special_tokens(tokenizer: PreTrainedTokenizerFast, tokens: SpecialTokens) -> list[int]:
    """Ids of those texts in `tokens` that were new to the tokenizer, in the order of the fields; it knows all after.

    Tokens of turns and pictures are added as special: decoding can leave them out (`skip_special_tokens`). Tokens of
    thinking and of grounded answers are what an answer says, so decoding keeps them.
    """
    said = {tokens.think_start, tokens.think_end, *tokens.grounding}
    known = tokenizer.backend_tokenizer.token_to_id
    lacking = [text for text in dict.fromkeys(astuple(tokens)) if known(text) is None]
    tokenizer.add_tokens([AddedToken(text, special=text not in said, normalized=False) for text in lacking])
    return [number for text in lacking if (number := known(text)) is not None]
