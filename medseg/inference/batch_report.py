"""`BatchReport`: one outcome per job, in the order of the jobs, and the exit code that a command makes of them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["done", "skipped", "failed", "pending"]
_COLUMNS = ("case", "state", "code", "message", "folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutcome:
    """What came of one job."""

    case: str
    """Its id."""
    state: Outcome
    """`skipped`: done before and unchanged; `pending`: the batch stopped before it."""
    code: str = ""
    """Kind of its error, empty without one."""
    message: str = ""
    """The error in words, empty without one."""
    folder: Path | None = None
    """Where its outputs lie; None without any."""

    @property
    def good(self) -> bool:
        """Whether its outputs are there."""
        return self.state in ("done", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What came of a batch."""

    outcomes: tuple[CaseOutcome, ...]
    """As many as jobs, in their order."""
    stopped: str = ""
    """Why the batch ended early, in words; empty where it did not."""
    interrupted: bool = False
    """Whether it ended early because somebody asked for it."""

    def count(self, state: Outcome) -> int:
        """How many cases came out so."""
        return sum(outcome.state == state for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 all cases are there, 2 some are, 1 none is; 130 interrupted before the end.

        Example:
            >>> good, bad = CaseOutcome(case="a", state="skipped"), CaseOutcome(case="b", state="failed")
            >>> [BatchReport(outcomes=outcomes).exit_code for outcomes in ((good,), (good, bad), (bad,))]
            [0, 2, 1]
        """
        if self.interrupted:
            return 130
        good = sum(outcome.good for outcome in self.outcomes)
        if good == len(self.outcomes):
            return 0
        return 2 if good else 1

    def table(self) -> str:
        """The outcomes as CSV. Cases done before count as done, so a resumed batch has the table of an unbroken one."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for one in self.outcomes:
            folder = f"results/{one.case}" if one.good else ""
            writer.writerow((one.case, "done" if one.good else one.state, one.code, one.message, folder))
        return text.getvalue()
