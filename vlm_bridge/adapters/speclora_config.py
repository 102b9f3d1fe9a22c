"""`SpecLoraConfig`: settings of SpecLoRA, learned factors of large singular values beside a low-rank increment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vlm_bridge.adapters.peft_door import TunerConfig
from vlm_bridge.errors import InvalidInputError


@dataclass
class SpecLoraConfig(TunerConfig):
    """SpecLoRA: W' = W + U diag(sigma s) V^T + (lora_alpha / r) BA, over the `directions` largest singular values.

    With `r = 0` there is no BA, with `directions = 0` it is LoRA.
    """

    method: ClassVar[str] = "speclora"

    directions: int = field(default=16)
    """Number k of singular values that get a factor 1 + s; a layer that has fewer takes all."""
    lora_alpha: float = field(default=32.0)
    """Scaling of the low-rank part, times r."""
    spectral_rate: float = field(default=1.0)
    """Learning rate of s as a multiple of the others'; see `adapter_parameter_groups`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        ranks = (self.r, *self.rank_pattern.values())
        if self.directions < 0 or min(ranks) < 0 or self.directions + min(ranks) < 1 or self.spectral_rate <= 0:
            raise InvalidInputError(
                "SpecLoraConfig: expected directions and ranks of 0 and more, one of them above 0, and spectral_rate "
                f"> 0, found {self.directions}, {min(ranks)} and {self.spectral_rate}. Change them."
            )
