"""`BatchConfig`: how a batch is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medseg.errors import InvalidInputError

Engine = Literal["local", "ray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """How a batch is run."""

    formats: tuple[str, ...] = ("nifti", "json")
    """Outputs of each case."""
    resume: bool = True
    """Skip cases that are done and unchanged; otherwise every case of this call is done again."""
    workers: int = 1
    """Processes that work at the same time, each with a model of its own; 1 works in this process (engine local)."""
    engine: Engine = "local"
    """local: processes of this machine; ray: actors of a Ray cluster, or of this machine where none is named."""
    all_series: bool = False
    """Ask each series of an input that holds several; otherwise such an input fails with a list of them."""
    window: str | None = None
    """Intensity window of every case whose job names none; None leaves the choice to the segmenter."""
    progress: bool = False
    """Show a progress bar with the time that is left."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InvalidInputError(f"BatchConfig: expected 1 worker or more, found {self.workers}. Raise workers.")
        if not self.formats:
            raise InvalidInputError("BatchConfig: expected one output format or more, found none. Name one.")
