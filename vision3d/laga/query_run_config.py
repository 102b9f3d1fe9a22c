"""`QueryRunConfig`: every setting of `query_run`; the command line is made from it. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from vision3d.errors import InvalidInputError
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.reason_config import ReasonConfig
from vision3d.language.prompts import CANONICAL_NEGATIVES


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRunConfig:
    """What is looked at, and what is written."""

    negatives: tuple[str, ...] = CANONICAL_NEGATIVES
    """What a phrase has to beat to be found."""
    views: tuple[str, ...] = ()
    """Names of the views to show; none takes some that lie far apart, held-out ones first."""
    view_count: int = 4
    """How many views are shown where none is named; 0 shows all."""
    max_side: int | None = None
    """Longest side of the pictures in pixels; None = the size the scene was fitted at."""
    encoder: str | None = None
    """Encoder of phrases, by the names of `vision3d train`; None takes the one the scene was trained with."""
    save_masks: bool = False
    """Also write the selection in every shown view as a black and white PNG."""
    save_scores: bool = False
    """Also write the score of every Gaussian, and whether it was chosen, as .npz."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render and encode."""
    reason: ReasonConfig = field(default_factory=ReasonConfig)
    """How requests that name nothing are answered."""
    query: Annotated[QueryConfig, tyro.conf.arg(name="")] = field(default_factory=QueryConfig)
    """Every threshold between a phrase and a selection."""

    def __post_init__(self) -> None:
        if self.view_count < 0 or (self.max_side is not None and self.max_side < 1):
            raise InvalidInputError(
                f"QueryRunConfig: expected view_count of at least 0 and max_side of at least 1, found "
                f"{self.view_count} and {self.max_side}. Raise them."
            )
        if not self.negatives or not all(phrase.strip() for phrase in self.negatives):
            raise InvalidInputError(
                f"QueryRunConfig: expected at least one negative phrase and none empty, found {self.negatives}. "
                "Give some, or leave --negatives out."
            )
