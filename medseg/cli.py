"""The `medseg` command, with one subcommand per job. Research use only; not a medical device."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from medseg.cli_evaluate import Evaluate, run_evaluate
from medseg.cli_train import Train, run_train
from medseg.cli_validate import Validate, run_validate
from medseg.errors import MedSegError
from vlm_bridge.command_line import exit_code_of, failed
from vlm_bridge.errors import VlmBridgeError

Study = Annotated[Path, tyro.conf.arg(name="input", aliases=["-i"], metavar="STUDY")]
Output = Annotated[Path, tyro.conf.arg(aliases=["-o", "--out"], metavar="FOLDER")]
Formats = Annotated[tuple[str, ...], tyro.conf.arg(name="format", metavar="NAME ...")]
Window = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
_FAILURES_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Ask about one study; masks, measurements and a record go into the output folder.

    Several questions are a dialogue: each answer has a folder of its own, and dialogue.html shows them all.
    """

    questions: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="QUESTION ...")]]
    """What to look for, each in quotes."""
    study: Study
    """File, folder or zip archive."""
    output: Output
    """Folder for the results."""
    formats: Formats = ("nifti", "json")
    """Outputs; `medseg doctor` lists them."""
    series: str | None = None
    """Key of the series, as `medseg series` prints it; needed where the study holds several."""
    window: Window = None
    """Intensities to look at: soft tissue, lung, bone, ...; by default the segmenter chooses."""
    segmenter: str = "medsegr-tiny"
    """What answers; `medseg doctor` lists them."""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Model of yours, as `medseg train` writes it, for the segmenter `medsegr`."""
    device: str = "cpu"
    """Where it computes, as cpu or cuda:0."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Ask about many studies; the same command goes on where it was interrupted. Exit codes: 0 all cases are there, 2
    some, 1 none."""

    inputs: Annotated[tuple[str, ...], tyro.conf.arg(name="input", aliases=["-i"], metavar="PATH ...")] = ()
    """Files, folders of studies, patterns in quotes, zip archives."""
    output: Output
    """Folder for the results; inputs.csv says which case is which input."""
    questions: Annotated[tuple[str, ...], tyro.conf.arg(name="question", aliases=["-q"], metavar="TEXT ...")] = ()
    """What to look for, each in quotes; each is asked about each input."""
    jobs: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """List of jobs, .jsonl or .csv, with the keys input, question, id, series, window, formats."""
    formats: Formats = ("nifti", "json")
    """Outputs of each case."""
    workers: int = 1
    """Processes that work at the same time, each with a model of its own."""
    engine: Literal["local", "ray"] = "local"
    """local: this machine; ray: a Ray cluster."""
    resume: bool = True
    """Skip cases that are done and unchanged."""
    all_series: bool = False
    """Ask each series of an input that holds several; otherwise such an input fails with a list of them."""
    window: Window = None
    """Intensities to look at, for cases whose job names none."""
    segmenter: str = "medsegr-tiny"
    """What answers."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """List the series of a study, each with its key for --series."""

    study: Study
    """File, folder or zip archive."""


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what was found on this machine, and what to do about what is missing."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Ask the embedded model about an embedded radiograph of nobody; writes a page of the answers."""

    output: Output = Path("out/demo/medseg")
    """Folder for the results."""


Command = Demo | Segment | Batch | Evaluate | Train | Validate | Series | Doctor


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 an error that the message explains, 130 interrupted.

    A batch returns 2 where some of its cases failed. Arguments that cannot be read leave with code 2, as the parser
    does.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return exit_code_of(
        lambda: _run(_parse(arguments)),
        command="medseg",
        errors=(MedSegError, VlmBridgeError),
        extra="medseg",
        when_memory_ends="Use fewer --workers, or a larger device.",
        when_interrupted="interrupted; the same command goes on with what is left",
    )


def _parse(arguments: list[str] | None) -> Command:
    return tyro.cli(
        Command,  # type: ignore[arg-type]
        prog="medseg",
        args=sys.argv[1:] if arguments is None else arguments,
        description="Ask medical studies in words. Research use only; not a medical device.",
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def _run(command: Command) -> int:
    return _JOBS[type(command)](command)


def _segment(command: Segment) -> int:
    from medseg.inference.catalogue import load_segmenter
    from medseg.inference.segment import segment_dialogue
    from medseg.io.read_study import read_study
    from medseg.report.catalogue import check_formats, write_outputs
    from medseg.report.overlay import OverlayOptions
    from medseg.report.report_page import dialogue_html
    from medseg.study.result import RESEARCH_USE
    from vlm_bridge.atomic_write import write_text_whole

    check_formats(command.formats)
    study = read_study(command.study, series=command.series)
    segmenter = load_segmenter(command.segmenter, weights=command.weights, device=command.device)
    results = segment_dialogue(segmenter, study, command.questions, window=command.window)
    view = OverlayOptions(window=command.window)
    for number, result in enumerate(results, 1):
        folder = command.output if len(results) == 1 else command.output / f"question_{number}"
        written = write_outputs(result, folder, command.formats, view=view)
        _print_answer(result, [*result.warnings, *written.notices])
    if len(results) > 1:
        write_text_whole(command.output / "dialogue.html", dialogue_html(results))
    print(f"results in {command.output}. {RESEARCH_USE}")
    return 0


def _print_answer(result: Any, notes: list[Any]) -> None:
    print(result.text)
    for finding in result.findings:
        found = finding.quantities
        volume = f", {found.volume_ml:.3g} ml" if found is not None and found.volume_ml is not None else ""
        print(f"{finding.label}: {finding.status.replace('_', ' ')}{volume}")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _demo(command: Demo) -> int:
    from medseg.demo import run_demo
    from medseg.study.result import RESEARCH_USE

    report = run_demo(command.output)
    for result in report.results:
        print(f"{result.question}\n  {result.text}")
    print(f"open {report.page}. {RESEARCH_USE}")
    return 0


def _batch(command: Batch) -> int:
    if command.jobs is None and not command.inputs:
        return failed("expected inputs (-i) or a job file (--jobs), found neither. Give one.")
    from medseg.inference.batch import segment_batch
    from medseg.inference.batch_config import BatchConfig
    from medseg.study.result import RESEARCH_USE

    report = segment_batch(
        [*command.inputs, *([command.jobs] if command.jobs else [])],
        command.questions,
        command.output,
        segmenter=command.segmenter,
        config=BatchConfig(
            formats=command.formats,
            resume=command.resume,
            workers=command.workers,
            engine=command.engine,
            all_series=command.all_series,
            window=command.window,
            progress=sys.stderr.isatty(),
        ),
    )
    _print_failures(report, command.output)
    counts = {state: report.count(state) for state in ("done", "skipped", "failed", "pending")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    print(f"{len(report.outcomes)} cases: {told}; results in {command.output}. {RESEARCH_USE}")
    if report.stopped:
        failed(report.stopped)
    elif report.interrupted:
        print("interrupted; the same command goes on with what is left", file=sys.stderr)
    return report.exit_code


def _print_failures(report: Any, output: Path) -> None:
    failures = [outcome for outcome in report.outcomes if outcome.state == "failed"]
    for outcome in failures[:_FAILURES_SHOWN]:
        print(f"{outcome.case}: {outcome.message}", file=sys.stderr)
    if failures:
        more = f"{len(failures) - _FAILURES_SHOWN} more; " * (len(failures) > _FAILURES_SHOWN)
        print(f"{more}all failures in {output / 'failures'}, their inputs in {output / 'inputs.csv'}", file=sys.stderr)


def _evaluate(command: Evaluate) -> int:
    print(run_evaluate(command, progress=sys.stderr.isatty()))
    return 0


def _train(command: Train) -> int:
    print(run_train(command, progress=sys.stderr.isatty()))
    return 0


def _validate(command: Validate) -> int:
    text, code = run_validate(command)
    print(text)
    return code


def _series(command: Series) -> int:
    from medseg.io.read_study import list_series

    for facts in list_series(command.study):
        print(facts.line())
    return 0


def _doctor(command: Doctor) -> int:
    from medseg.doctor import examine

    findings = examine()
    for finding in findings:
        print(finding.lines())
    return 0 if all(finding.good for finding in findings) else 1


_JOBS: dict[type, Callable[[Any], int]] = {
    Demo: _demo,
    Segment: _segment,
    Batch: _batch,
    Evaluate: _evaluate,
    Train: _train,
    Validate: _validate,
    Series: _series,
    Doctor: _doctor,
}

if __name__ == "__main__":
    sys.exit(main())
