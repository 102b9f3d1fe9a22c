"""`segment_batch`: many studies, one model, and a folder of results that survives whatever happens on the way.

List the studies -> build the model once per worker -> run each case guarded alone -> move its folder into place as it
finishes -> report. A rerun of the same call goes on where the last one ended. Research use only; not a medical device.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from medseg.errors import InvalidInputError
from medseg.inference.batch_case import CaseTask
from medseg.inference.batch_cases import Case, number_cases
from medseg.inference.batch_config import BatchConfig
from medseg.inference.batch_engine import Engine, LoadSegmenter, PoolEngine, ThisProcess
from medseg.inference.batch_events import EventLog, OnEvent
from medseg.inference.batch_fingerprint import segmenter_sha256, words_sha256
from medseg.inference.batch_folder import BatchFolder, opened_folder, output_errors
from medseg.inference.batch_inputs import Input, gather_jobs
from medseg.inference.batch_journal import CaseHashes, Journal
from medseg.inference.batch_plan import plan_cases
from medseg.inference.batch_processes import ProcessPool
from medseg.inference.batch_report import BatchReport
from medseg.inference.batch_run import Records, run_plan
from medseg.inference.catalogue import SEGMENTERS, load_segmenter
from medseg.inference.segmenter import Segmenter
from medseg.report.catalogue import check_formats
from vlm_bridge.atomic_write import write_text_whole


def segment_batch(
    inputs: Input | Sequence[Input],
    questions: str | Sequence[str],
    out: Path | str,
    *,
    segmenter: str | Segmenter | LoadSegmenter = "classical",
    config: BatchConfig = BatchConfig(),
    on_event: OnEvent | None = None,
) -> BatchReport:
    """What came of asking each question about each study; results lie in `out`, one folder per case.

    Args:
        inputs: files, folders of studies, patterns as `scans/*.nii.gz`, zip archives, job files (.jsonl, .csv), jobs.
        questions: asked about each input; a job file may hold its own, then none has to be given.
        out: folder of the results; the same call on it goes on after an interruption.
        segmenter: a name of the catalogue, a function of a module that builds one, or a built one (one worker only).
        config: outputs, workers, engine.
        on_event: hears each event of `events.jsonl` as it is written.

    A study that fails is recorded below `failures/` and stops nothing. The first Ctrl+C ends the batch after the
    current case, the second at once.

    Raises:
        InvalidInputError: nothing to ask, a wrong job file, an unknown output or segmenter.
        BatchFolderError: `out` cannot be written, or another process works in it.
        SegmenterError: the segmenter cannot be built.
        MissingExtraError: the engine's package is not installed.
    """
    place = Path(os.path.abspath(out))
    check_formats(config.formats)
    jobs = gather_jobs(inputs, questions, place, all_series=config.all_series)
    for job in jobs:
        check_formats(job.formats or config.formats)
    load = _loader(segmenter, config)
    with opened_folder(place) as folder, Journal(folder.journal) as journal:
        cases = number_cases(jobs, folder.inputs)
        with EventLog(folder.events, len(cases), on_event, config.progress) as events, _engine(load, config) as engine:
            weights = segmenter_sha256(engine.facts())
            tasks = [_task(case, folder, weights, config) for case in cases]
            plan = plan_cases(tasks, folder, journal, resume=config.resume)
            report = run_plan(engine, plan, config, tasks, Records(folder=folder, journal=journal, events=events))
        if not report.stopped:
            with output_errors():
                write_text_whole(folder.report, report.table())
    return report


@contextmanager
def _engine(load: LoadSegmenter, config: BatchConfig) -> Iterator[Engine]:
    """What runs the cases; its workers end with the block.

    Raises:
        MissingExtraError: the engine's package is not installed.
        MedSegError: the segmenter cannot be built.
    """
    if config.engine == "ray":
        from medseg.inference.ray_engine import RayPool

        engine: Engine = PoolEngine(RayPool(load, config.workers), config.workers)
    elif config.workers > 1:
        engine = PoolEngine(ProcessPool(load), config.workers)
    else:
        engine = ThisProcess(load)
    try:
        yield engine
    finally:
        engine.close()


def _loader(segmenter: str | Segmenter | LoadSegmenter, config: BatchConfig) -> LoadSegmenter:
    if isinstance(segmenter, str):
        if segmenter not in SEGMENTERS:
            raise InvalidInputError(
                f"Batch: expected a segmenter of {', '.join(SEGMENTERS)}, found {segmenter!r}. Choose one."
            )
        return partial(load_segmenter, segmenter)
    if isinstance(segmenter, type) or not hasattr(segmenter, "answer"):
        return cast(LoadSegmenter, segmenter)
    if config.workers > 1 or config.engine != "local":
        raise InvalidInputError(
            "Batch: expected a name or a function that builds the segmenter for several workers, found a built one. "
            "Give a function of a module, or ask for one worker."
        )
    return lambda: cast(Segmenter, segmenter)


def _task(case: Case, folder: BatchFolder, segmenter: str, config: BatchConfig) -> CaseTask:
    """The case with the outputs and the window of the batch where its job names none."""
    formats = tuple(sorted(set(case.job.formats or config.formats)))
    job = replace(case.job, formats=formats, window=case.job.window or config.window)
    hashes = CaseHashes(
        question_sha256=words_sha256(job.question),
        settings_sha256=words_sha256([job.series, job.window, list(formats)]),
        segmenter_sha256=segmenter,
    )
    return CaseTask(case=replace(case, job=job), hashes=hashes, partial=folder.partial)
