"""`Job`: one question about one study. Lists of jobs come from inputs and questions, or from a job file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from medseg.errors import InvalidInputError

_ID = re.compile(r"[^\W_][\w.+-]{0,99}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
"""Names that Windows keeps for devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One question about one study."""

    input: Path = field(repr=False)
    """File, folder or zip archive of one study; left out of the text form, since folders are named after people."""
    question: str = field(repr=False)
    """In words."""
    id: str = ""
    """Name of the case, chosen by the caller: it becomes the name of a folder. Empty: a neutral number is taken."""
    series: str | None = None
    """Key of the series, as `medseg series` prints it; None where the input holds one."""
    window: str | None = None
    """Name of the intensity window to look at; None leaves the choice to the segmenter."""
    formats: tuple[str, ...] = ()
    """Outputs of this job; empty takes those of the batch."""

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise InvalidInputError("Job: expected a question, found an empty one. Write what to look for.")
        if self.id and not is_case_id(self.id):
            raise InvalidInputError(
                f"Job: expected an id of up to 100 letters, digits, '.', '_', '+' and '-' that begins with a letter or "
                f"a digit, found {self.id!r}. Change it; never use the name of a patient."
            )

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells it from other jobs without an id: place, question, series and window."""
        return str(self.input), self.question, self.series or "", self.window or ""


def is_case_id(text: str) -> bool:
    """Whether a text can name the folder of a case on every system.

    Example:
        >>> [is_case_id(text) for text in ("study-7", "fall_ä1", "../up", ".hidden", "a b", "CON")]
        [True, True, False, False, False, False]
    """
    whole = _ID.fullmatch(text) is not None and not text.endswith(".")
    return whole and text.partition(".")[0].lower() not in _RESERVED
