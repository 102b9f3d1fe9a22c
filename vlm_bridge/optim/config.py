"""`OptimizerConfig`: settings of any optimiser of the catalogue; each member reads those it has a use for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.mlorc import ADAMW_BETAS, LION_BETAS, MLorcConfig
from vlm_bridge.optim.parameter_roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class MuonConfig:
    """Settings of Muon; what it does not train, AdamW does."""

    scale: Literal["original", "match_rms_adamw"] = "match_rms_adamw"
    """Factor on the learning rate of a matrix of `rows` and `columns`: sqrt(max(1, rows / columns)), made for rates of
    about 0.02; or 0.2 sqrt(max(rows, columns)), with which updates are as large as AdamW's and its rates carry over."""
    momentum: float = 0.95
    """Share of the past in the momentum."""
    nesterov: bool = True
    """Look ahead by one step of the momentum."""
    iterations: int = 5
    """Newton-Schulz steps."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Of these steps. bfloat16: torch's own; float32: the same without it; auto: float32 on a processor that has no
    bfloat16 of its own, where torch's would be some fifty times slower, bfloat16 everywhere else."""
    other_learning_rate: float | None = None
    """Of what AdamW trains; None: the same. With `original`, about 3e-4."""

    def __post_init__(self) -> None:
        if self.scale not in ("original", "match_rms_adamw"):
            raise InvalidInputError(
                f"Muon: expected the scale original or match_rms_adamw, found {self.scale!r}. Choose one of them."
            )
        if self.precision not in ("auto", "bfloat16", "float32"):
            raise InvalidInputError(
                f"Muon: expected the precision auto, bfloat16 or float32, found {self.precision!r}. Choose one of them."
            )
        rate = self.other_learning_rate
        if not 0 <= self.momentum < 1 or not 0 < self.iterations < 100 or (rate is not None and rate < 0):
            raise InvalidInputError(
                "Muon: expected 0 <= momentum < 1, 0 < iterations < 100 and other_learning_rate >= 0 or None, found "
                f"{self.momentum}, {self.iterations} and {rate}. Change them."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """Settings; a schedule multiplies the learning rates given here."""

    learning_rate: float = 1e-5
    """Highest one."""
    weight_decay: float = 0.0
    """Decoupled; of tensors of two and more dimensions."""
    betas: tuple[float, float] = ADAMW_BETAS
    """Of AdamW, and of its moments in MLorc."""
    lion_betas: tuple[float, float] = LION_BETAS
    """Of Lion: of the direction, and of the momentum."""
    eps: float = 1e-8
    """Of AdamW."""
    muon: MuonConfig = MuonConfig()
    """Of Muon."""
    mlorc: MLorcConfig = MLorcConfig()
    """Of MLorc; its variant is that of the member."""
    compress_embeddings: bool = False
    """MLorc compresses momenta of embeddings and heads too; not where only some of their rows learn: rows mix."""
    roles: tuple[tuple[str, Role], ...] = ()
    """Pattern of a parameter's name, and what it counts as; the first that fits wins over what its module says."""

    def __post_init__(self) -> None:
        numbers = (self.learning_rate, self.weight_decay, self.eps)
        if min(numbers) < 0 or not all(0 <= beta < 1 for beta in (*self.betas, *self.lion_betas)):
            raise InvalidInputError(
                "Optimiser: expected learning_rate, weight_decay and eps >= 0 and betas in [0, 1), found "
                f"{numbers}, {self.betas} and {self.lion_betas}. Change them."
            )
