"""`MapConfig`: settings of MAP, the decomposition of a weight into two lengths and two directions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vlm_bridge.adapters.peft_door import TunerConfig
from vlm_bridge.errors import InvalidInputError

MAP_HOSTS = ("lora", "pissa", "olora")
MAP_SCALARS = ("raw", "relative")


@dataclass
class MapConfig(TunerConfig):
    """MAP on a low-rank increment: W' = alpha W / |W| + beta BA / |BA|, the norms being Frobenius'.

    A scaling of BA would fall out of the formula, so there is no `lora_alpha`.
    """

    method: ClassVar[str] = "lomap"

    host: str = field(default="lora")
    """Where B and A start. `lora`: both drawn at random, like the A of LoRA, and beta = 0. `pissa`: from the largest
    singular values, `olora`: from a QR decomposition; then W is what these leave over, beta the norm of BA, and the
    rank at most half of a layer's shorter side."""
    scalars: str = field(default="raw")
    """What learns: `raw` alpha and beta, as in the paper; `relative` their distance from the start in units of |W|,
    which for an optimiser with steps of fixed size (Adam) is a rate |W| times as high."""
    scalar_rate: float | None = field(default=None)
    """Learning rate of alpha and beta as a multiple of the others'; None: 10 where they are raw, 1 where they are
    relative. See `adapter_parameter_groups`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.host not in MAP_HOSTS or self.scalars not in MAP_SCALARS:
            raise InvalidInputError(
                f"MapConfig: expected a host among {', '.join(MAP_HOSTS)} and scalars among {', '.join(MAP_SCALARS)}, "
                f"found {self.host!r} and {self.scalars!r}. Choose among them."
            )
        if self.scalar_rate is None:
            self.scalar_rate = 10.0 if self.scalars == "raw" else 1.0
        ranks = (self.r, *self.rank_pattern.values())
        if min(ranks) < 1 or self.scalar_rate <= 0:
            raise InvalidInputError(
                f"MapConfig: expected ranks of 1 and more and scalar_rate > 0, found {min(ranks)} and "
                f"{self.scalar_rate}. Change them."
            )
