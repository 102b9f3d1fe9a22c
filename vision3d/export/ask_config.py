"""`AskConfig`: how things are found that are exported or edited. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from vision3d.errors import InvalidInputError
from vision3d.laga.query_config import QueryConfig
from vision3d.language.prompts import CANONICAL_NEGATIVES


@dataclass(frozen=True, slots=True, kw_only=True)
class AskConfig:
    """From a phrase, a click or a number to Gaussians."""

    negatives: tuple[str, ...] = CANONICAL_NEGATIVES
    """What a phrase has to beat to be found."""
    encoder: str | None = None
    """Encoder of phrases, by the names of `vision3d train`; None takes the one the scene was trained with."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render and encode."""
    query: Annotated[QueryConfig, tyro.conf.arg(name="")] = field(default_factory=QueryConfig)
    """Every threshold between a phrase and a selection."""

    def __post_init__(self) -> None:
        if not self.negatives or not all(phrase.strip() for phrase in self.negatives):
            raise InvalidInputError(
                f"AskConfig: expected at least one negative phrase and none empty, found {self.negatives}. "
                "Give some, or leave --negatives out."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is asked for; in this order."""

    phrases: tuple[str, ...] = ()
    """Text."""
    click: tuple[str, float, float] | None = None
    """View, x and y in pixels of its picture, at the size of the fit."""
    objects: tuple[int, ...] = ()
    """Numbers of objects."""

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return not self.phrases and self.click is None and not self.objects
