"""`run_plan`: a plan carried out, each step written down before the next: folder moved, journal, event, outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from medseg.errors import BatchFolderError, MedSegError
from medseg.inference.batch_case import CaseRecord, CaseTask
from medseg.inference.batch_config import BatchConfig
from medseg.inference.batch_engine import Died, Engine, Started, Step
from medseg.inference.batch_events import EventLog
from medseg.inference.batch_folder import BatchFolder
from medseg.inference.batch_interrupt import polite_stop
from medseg.inference.batch_journal import Journal
from medseg.inference.batch_plan import Plan
from medseg.inference.batch_report import BatchReport, CaseOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Where a batch writes down what happens."""

    folder: BatchFolder
    """Results and failures."""
    journal: Journal
    """States."""
    events: EventLog
    """What happens, as it does."""
    outcomes: dict[str, CaseOutcome] = field(default_factory=dict)
    """Case -> what came of it, so far."""
    running: set[str] = field(default_factory=set)
    """Cases that were begun and did not end yet."""


def run_plan(
    engine: Engine, plan: Plan, config: BatchConfig, tasks: Sequence[CaseTask], records: Records
) -> BatchReport:
    """What came of `tasks`, in their order, once those of the plan are run."""
    by_id = {task.case.id: task for task in tasks}
    stopped, asked = "", False
    try:
        _begin(plan, config, records)
        with polite_stop() as stop:
            for step in engine.run(plan.todo, stop):
                _take(step, by_id, records)
            asked = stop() and len(records.outcomes) < len(tasks)
        records.events.tell("batch_ended", interrupted=asked, **_tally(records))
    except MedSegError as error:  # of the output's disk or of the workers: it would strike each case to come
        stopped = str(error)
    finally:
        _release(records)
    outcomes = (records.outcomes.get(task.case.id, CaseOutcome(case=task.case.id, state="pending")) for task in tasks)
    return BatchReport(outcomes=tuple(outcomes), stopped=stopped, interrupted=asked)


def _begin(plan: Plan, config: BatchConfig, records: Records) -> None:
    records.journal.await_cases([task.case.id for task in plan.todo])
    records.events.tell(
        "batch_started", todo=len(plan.todo), there=len(plan.there), engine=config.engine, workers=config.workers
    )
    for task in plan.there:
        case = task.case.id
        records.outcomes[case] = CaseOutcome(case=case, state="skipped", folder=records.folder.results / case)
        records.events.tell("case_skipped", case=case)
    records.events.begin_work()


def _take(step: Step, tasks: dict[str, CaseTask], records: Records) -> None:
    if isinstance(step, Started):
        records.running.add(step.case)
        attempt = records.journal.start(step.case)
        records.events.tell("case_started", case=step.case, attempt=attempt)
    elif isinstance(step, Died):
        records.events.tell("worker_died", case=step.case or None, detail=step.detail)
    elif step.state == "no room":
        raise BatchFolderError(f"Batch: {step.message}")
    else:
        _settle(step, tasks[step.case], records)
        records.running.discard(step.case)


def _settle(record: CaseRecord, task: CaseTask, records: Records) -> None:
    case, seconds = record.case, round(record.seconds, 3)
    if record.written is not None:
        folder = records.folder.land(case, record.written)
        records.journal.finish(case, task.hashes, record.input, record.outputs, seconds)
        records.outcomes[case] = CaseOutcome(case=case, state="done", folder=folder)
        records.events.tell(
            "case_done", case=case, seconds=seconds, outputs=sorted(record.outputs), notices=record.notices
        )
        return
    records.folder.record_failure(case, record.code, record.message, record.log)
    records.journal.fail(case, record.code, record.message, task.hashes, record.input, seconds)
    records.outcomes[case] = CaseOutcome(case=case, state="failed", code=record.code, message=record.message)
    records.events.tell("case_failed", case=case, seconds=seconds, code=record.code, message=record.message)


def _tally(records: Records) -> dict[str, int]:
    states = [outcome.state for outcome in records.outcomes.values()]
    return {state: states.count(state) for state in ("done", "skipped", "failed")}


def _release(records: Records) -> None:
    """Cases that were begun and did not end are pending again, where the disk still takes it."""
    try:
        records.journal.await_cases(sorted(records.running))
    except MedSegError:
        return  # they stay `running`, which a rerun takes as interrupted
