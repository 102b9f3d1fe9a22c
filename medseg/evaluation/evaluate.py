"""`evaluate`: records of questions put to a segmenter; figures with intervals, generated and teacher-forced beside each
other. Research use only; not a medical device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medseg.errors import InvalidInputError
from medseg.evaluation.ask_dialogue import ask_dialogue, case_name
from medseg.evaluation.case_input import CaseInput, grid_of, open_record
from medseg.evaluation.case_log import CaseLog, record_fingerprint
from medseg.evaluation.figures import Bootstrap
from medseg.evaluation.report import EvaluationReport, summarise
from medseg.evaluation.report_files import write_report
from medseg.evaluation.turn_score import TurnScore
from medseg.inference.segment import SegmentConfig
from medseg.inference.segmenter import Segmenter
from medseg.training.records import QARecord


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """How answers are judged."""

    gates: SegmentConfig = SegmentConfig()
    """Between what a segmenter says and what counts as found."""
    forced: bool = True
    """Whether segmenters that can do so also mark the reference answers."""
    tolerance_mm: float = 2.0
    """Of NSD, millimetres."""
    tolerance_px: float = 2.0
    """Of NSD where the spacing is unknown, pixels."""
    bootstrap: Bootstrap = Bootstrap()
    """Of the intervals."""
    listed: int = 10
    """Questions in the lists of the worst and the slowest."""
    progress: bool = False
    """Whether a bar shows how far it is."""

    def __post_init__(self) -> None:
        if self.tolerance_mm < 0 or self.tolerance_px < 0 or self.bootstrap.rounds < 1 or self.listed < 0:
            raise InvalidInputError(
                "EvaluateConfig: expected tolerances >= 0, one round of the bootstrap and more and listed >= 0, found "
                f"{self.tolerance_mm}, {self.tolerance_px}, {self.bootstrap.rounds} and {self.listed}. Change them."
            )


def evaluate(
    segmenter: Segmenter,
    records: Sequence[QARecord],
    folder: Path | None = None,
    *,
    config: EvaluateConfig = EvaluateConfig(),
) -> EvaluationReport:
    """Figures of a segmenter on records; with a folder, `report.md`, `report.json` and the cases are written there.

    A run that was interrupted goes on in the same folder with the dialogues that are left.

    Raises:
        InvalidInputError: no record, two records of one id, or the folder holds another evaluation.
        RecordError, StudyFileError: a record, its picture or a mask cannot be read; nothing is left out quietly.
    """
    _check_ids(records)
    log = CaseLog(folder, _setup(segmenter, config))
    scores: list[TurnScore] = []
    for record in tqdm(records, unit="record", disable=not config.progress):
        scores += _scores_of(segmenter, record, log, config)
    report = summarise(scores, segmenter.facts, bootstrap=config.bootstrap, listed=config.listed)
    if folder is not None:
        write_report(report, folder)
    return report


def _scores_of(segmenter: Segmenter, record: QARecord, log: CaseLog, config: EvaluateConfig) -> list[TurnScore]:
    fingerprint = record_fingerprint(record)
    opened: CaseInput | None = None
    scores: list[TurnScore] = []
    for number in range(len(record.conversations)):
        case = case_name(record, number)
        found = log.find(case, fingerprint)
        if found is None:
            opened = opened or open_record(record)
            grid = grid_of(record, opened.volume, tolerance_mm=config.tolerance_mm, tolerance_px=config.tolerance_px)
            found = ask_dialogue(segmenter, record, number, opened, grid, gates=config.gates, forced=config.forced)
            log.add(case, fingerprint, found)
        scores += found
    return scores


def _check_ids(records: Sequence[QARecord]) -> None:
    if not any(record.conversations for record in records):
        raise InvalidInputError(f"Evaluation: expected records with dialogues, found none in {len(records)}. Add some.")
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise InvalidInputError(f"Evaluation: expected ids that differ, found {record.id!r} twice. Rename one.")
        seen.add(record.id)


def _setup(segmenter: Segmenter, config: EvaluateConfig) -> dict[str, Any]:
    """What the scores of a case depend on."""
    facts = segmenter.facts
    return {
        "segmenter": facts.name,
        "weights_sha256": facts.weights_sha256,
        "versions": {"vision3d-medseg": version("vision3d-medseg"), **facts.versions},
        "gates": config.gates,
        "forced": config.forced,
        "tolerance_mm": config.tolerance_mm,
        "tolerance_px": config.tolerance_px,
    }
