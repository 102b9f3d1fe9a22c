"""`SpecialTokens`: the words with a meaning of their own, by what they do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTokens:
    """Texts of the special tokens; the defaults are InternVL's and Qwen's, and those of grounded answers."""

    turn_start: str = "<|im_start|>"
    turn_end: str = "<|im_end|>"
    image_start: str = "<img>"
    image_context: str = "<IMG_CONTEXT>"
    """Stands once for each visual token."""
    image_end: str = "</img>"
    think_start: str = "<think>"
    think_end: str = "</think>"
    seg: str = "[SEG]"
    """Asks for a mask of the phrase before it."""
    phrase_start: str = "<p>"
    phrase_end: str = "</p>"

    @property
    def grounding(self) -> tuple[str, ...]:
        """Tokens that InternVL does not have and grounded answers need."""
        return (self.seg, self.phrase_start, self.phrase_end)
