"""`medseg evaluate`: its options, and the job behind them. What it has to say comes back as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from medseg.training.records import QARecord


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Put records of questions to a segmenter; figures, worst answers and every case go into the output folder. The
    same command goes on where it was interrupted."""

    records: tyro.conf.Positional[Path]
    """MedSeg-QA records, .jsonl; `medseg validate` checks them."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o", "--out"], metavar="FOLDER")]
    """Folder for report.md, report.json and cases.jsonl."""
    segmenter: str = "classical"
    """What answers; `medseg doctor` lists them."""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A checkpoint of yours; by default the one that belongs to the segmenter."""
    device: str = "cpu"
    """Where it computes, as cpu or cuda:0."""
    split: str = ""
    """Only records of this split, as test."""
    limit: int | None = None
    """At most so many records, spread evenly over the file."""
    dialogues: int = 0
    """Ask so many rule-made dialogues about these pictures in place of the records' own; kept in the folder."""
    forced: bool = True
    """Also let the segmenter mark the reference answers, where it can."""
    tolerance_mm: float = 2.0
    """Of the surface Dice (NSD)."""
    bootstrap: int = 1000
    """Samples of patients that the intervals are drawn from."""
    against: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder of another evaluation of the same records, to be compared: comparison.md."""


def run_evaluate(command: Evaluate, *, progress: bool = False) -> str:
    """Do it; returns what to tell.

    Raises:
        MedSegError: records, folder or segmenter cannot be used.
    """
    from medseg.evaluation.evaluate import EvaluateConfig, evaluate
    from medseg.evaluation.figures import Bootstrap
    from medseg.inference.catalogue import load_segmenter
    from medseg.study.result import RESEARCH_USE

    records = _records(command)
    segmenter = load_segmenter(command.segmenter, weights=command.weights, device=command.device)
    config = EvaluateConfig(
        forced=command.forced,
        tolerance_mm=command.tolerance_mm,
        bootstrap=Bootstrap(rounds=command.bootstrap),
        progress=progress,
    )
    report = evaluate(segmenter, records, command.output, config=config)
    lines = []
    for mode, figures in report.overall.items():
        told = ", ".join(f"{name} {figures[name].value:.3f}" for name in ("dice", "giou", "n_acc") if name in figures)
        lines.append(f"{mode}: {told or 'not measured'}")
    if command.against is not None:
        lines.append(f"compared with {command.against}: {_compare(command, command.against)}")
    lines.append(f"report in {command.output / 'report.md'}. {RESEARCH_USE}")
    return "\n".join(lines)


def _records(command: Evaluate) -> Sequence[QARecord]:
    from medseg.errors import InvalidInputError
    from medseg.evaluation.dialogues import build_dialogues
    from medseg.training.records import read_qa_records, write_qa_records

    if (command.limit is not None and command.limit < 1) or command.dialogues < 0:
        raise InvalidInputError(
            f"Evaluation: expected --limit of 1 and more and --dialogues of 0 and more, found {command.limit} and "
            f"{command.dialogues}. Change them."
        )
    records = [one for one in read_qa_records(command.records) if not command.split or one.split == command.split]
    if command.limit is not None and command.limit < len(records):
        records = [records[place * len(records) // command.limit] for place in range(command.limit)]
    if command.dialogues:
        records = build_dialogues(records, command.dialogues)
        write_qa_records(records, command.output / "dialogues.jsonl")
    return records


def _compare(command: Evaluate, other: Path) -> Path:
    from medseg.evaluation.case_log import read_cases
    from medseg.evaluation.figures import Bootstrap
    from medseg.evaluation.paired_comparison import compare_runs
    from medseg.evaluation.report_files import comparison_markdown
    from vlm_bridge.atomic_write import write_text_whole

    rows = compare_runs(read_cases(command.output), read_cases(other), bootstrap=Bootstrap(rounds=command.bootstrap))
    path = command.output / "comparison.md"
    write_text_whole(path, comparison_markdown(rows, command.output.name, other.name))
    return path
