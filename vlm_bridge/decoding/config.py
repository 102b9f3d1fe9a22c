"""`DecodingConfig`: how an answer is chosen; `PcdConfig`: how positional contrastive decoding contrasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from vlm_bridge.errors import InvalidInputError

Transition = Literal["exp", "linear", "step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PcdConfig:
    """Positional contrastive decoding; the defaults are those the paper recommends.

    Source:
        Xiao et al. 2025, arXiv:2506.08371. `beta=1.5` is the lower end of its recommended range.
    """

    alpha: float = 0.2
    """How far the lowest frequencies are moved, at least 0 and less than ln 2; at 0 nothing is contrasted."""
    beta: float = 2.5
    """Strength of the contrast, at least 0; at 0 only the candidates are restricted."""
    base_ratio: float = 1e-4
    """Base of the perturbed frequencies over the base of the model, in (0, 1]; the product counts as 1 at least."""
    gamma: int = 30
    """Words with the highest logits of the unperturbed branch that may be chosen; ties with the last of them too."""
    min_context: int = 0
    """Prompts of fewer tokens are decoded without contrast, at the cost of plain decoding."""
    prompt_chunk: int | None = None
    """Read the prompt so many tokens at a time, which bounds the memory that long prompts take; whole where None."""
    transition: Transition = "exp"
    """How the frequencies are mixed from the highest to the lowest; the paper has `exp`, the others are for comparison
    (`frequency_mix` says what they are)."""

    def __post_init__(self) -> None:
        rules = {
            "alpha": (0 <= self.alpha < math.log(2), "0 <= alpha < ln 2 (0.693)"),
            "beta": (0 <= self.beta < math.inf, "beta >= 0"),
            "base_ratio": (0 < self.base_ratio <= 1, "0 < base_ratio <= 1"),
            "gamma": (self.gamma >= 1, "gamma >= 1"),
            "min_context": (self.min_context >= 0, "min_context >= 0"),
            "prompt_chunk": (self.prompt_chunk is None or self.prompt_chunk >= 1, "prompt_chunk >= 1"),
            "transition": (self.transition in ("exp", "linear", "step"), "exp, linear or step"),
        }
        _check("PcdConfig", self, rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingConfig:
    """How an answer is chosen, word by word. Which fields count depends on the strategy; see `catalogue`."""

    strategy: str = "greedy"
    """Name in `vlm_bridge.decoding.catalogue.STRATEGIES`."""
    max_new_tokens: int = 512
    """Longest answer, thoughts and end of turn included, tokens."""
    think: bool = False
    """Open the answer with the mark of thoughts; they come back apart from the answer."""
    max_tiles: int | None = None
    """Most tiles of a picture, the thumbnail not counted; the backbone's own number where None."""
    temperature: float = 1.0
    """Above 0. Divides logits before a word is drawn; strategies that do not draw ignore it."""
    top_p: float = 1.0
    """In (0, 1]. Draw among the fewest words that hold this share of the probability."""
    top_k: int = 0
    """Draw among so many words; 0 for all."""
    seed: int | None = None
    """Of the draws, so that a call can be repeated; None goes on with the generator of PyTorch."""
    repetition_penalty: float = 1.0
    """Above 0. Divides positive logits of words that were said before; keep 1 for grounded answers, whose [SEG] must be
    free to come again."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer; they are not part of it."""
    choices: tuple[str, ...] = ()
    """The only answers that can be given, where not empty; `vlm_bridge.decoding.choices` weighs them."""
    pcd: PcdConfig = field(default_factory=PcdConfig)
    """Of the strategies that contrast."""

    def __post_init__(self) -> None:
        rules = {
            "max_new_tokens": (self.max_new_tokens >= 1, "max_new_tokens >= 1"),
            "temperature": (0 < self.temperature < math.inf, "temperature > 0 (for no chance at all: strategy greedy)"),
            "top_p": (0 < self.top_p <= 1, "0 < top_p <= 1"),
            "top_k": (self.top_k >= 0, "top_k >= 0"),
            "seed": (self.seed is None or 0 <= self.seed < 2**63, "0 <= seed < 2^63"),
            "repetition_penalty": (0 < self.repetition_penalty < math.inf, "repetition_penalty > 0"),
            "max_tiles": (self.max_tiles is None or self.max_tiles >= 1, "max_tiles >= 1"),
            "stop": (all(self.stop), "texts that are not empty"),
            "choices": (all(self.choices), "texts that are not empty"),
        }
        _check("DecodingConfig", self, rules)
        if self.choices and self.think:
            raise InvalidInputError(
                "DecodingConfig: expected choices or think, found both. Thoughts cannot be spelled by choices; ask for "
                "the thoughts first and for the choice in a second turn."
            )


def _check(owner: str, config: object, rules: dict[str, tuple[bool, str]]) -> None:
    for name, (holds, expected) in rules.items():
        if not holds:
            raise InvalidInputError(f"{owner}.{name}: expected {expected}, found {getattr(config, name)!r}. Change it.")
