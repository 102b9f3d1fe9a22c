"""`Engine`: what runs cases, one after another in this process or many at a time by a pool of workers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from medseg.errors import SegmenterError
from medseg.inference.batch_case import CaseRecord, CaseTask, run_case
from medseg.inference.batch_fingerprint import segmenter_sha256
from medseg.inference.segmenter import Segmenter, SegmenterFacts

LoadSegmenter = Callable[[], Segmenter]
"""Builds the segmenter of a worker."""
_DEATHS_MOST = 2
"""A case is given up when that many workers died over it."""
_LOADS_MOST = 3
"""So many workers may die before they are ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A case is about to be run."""

    case: str
    """Its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A worker has built its segmenter."""

    facts: SegmenterFacts
    """What it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """A worker ended without a word."""

    detail: str
    """How, as `signal 9`."""
    case: str = ""
    """The case it worked on, empty where it had none."""


Step = Started | CaseRecord | Died
Stop = Callable[[], bool]


@runtime_checkable
class Engine(Protocol):
    """What runs cases."""

    def facts(self) -> SegmenterFacts:
        """What its segmenter is; waits until one is built.

        Raises:
            SegmenterError: none can be built.
        """
        ...

    def run(self, tasks: Sequence[CaseTask], stop: Stop) -> Iterator[Step]:
        """Each case's `Started` and then its record; once `stop` says yes no further case is begun."""
        ...

    def close(self) -> None:
        """End workers."""
        ...


class ThisProcess:
    """An engine without workers: the segmenter lives in this process."""

    def __init__(self, load: LoadSegmenter) -> None:
        self._segmenter = load()

    def facts(self) -> SegmenterFacts:
        """What its segmenter is."""
        return self._segmenter.facts

    def run(self, tasks: Sequence[CaseTask], stop: Stop) -> Iterator[Step]:
        """Each case's `Started` and then its record, in order."""
        for task in tasks:
            if stop():
                return
            yield Started(case=task.case.id)
            yield run_case(self._segmenter, task)

    def close(self) -> None:
        """Nothing is to be ended."""


@runtime_checkable
class Pool(Protocol):
    """Workers by number, each with a segmenter of its own and at most one case at a time."""

    def add(self) -> int:
        """Begin a worker; its number."""
        ...

    def hand(self, worker: int, task: CaseTask) -> None:
        """Give a case to a ready worker without one."""
        ...

    def wait(self) -> tuple[int, Ready | CaseRecord | Died]:
        """The next thing that a worker says, or its death."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


class PoolEngine:
    """Cases handed to the workers of a pool. A worker that dies is replaced, and its case tried once more."""

    def __init__(self, pool: Pool, workers: int) -> None:
        self._pool = pool
        self._idle: list[int] = []
        self._busy: dict[int, CaseTask] = {}
        self._workers = workers
        self._loading = {pool.add()}
        self._failed_loads = 0
        self._facts: SegmenterFacts | None = None

    def facts(self) -> SegmenterFacts:
        """What the segmenter of the first worker is; the others are begun when there are cases for them.

        Raises:
            SegmenterError: none can be built.
        """
        while self._facts is None:
            for _ in self._hear(None):
                pass
        return self._facts

    def run(self, tasks: Sequence[CaseTask], stop: Stop) -> Iterator[Step]:
        """Each case's `Started` and then its record, as they come; `Died` between them.

        Raises:
            SegmenterError: workers die before they are ready, or differ in their segmenter.
        """
        waiting = deque(tasks)
        deaths: Counter[str] = Counter()
        for _ in range(min(self._workers, len(tasks)) - 1):
            self._loading.add(self._pool.add())
        while True:
            while waiting and self._idle and not stop():
                task = waiting.popleft()
                yield Started(case=task.case.id)
                worker = self._idle.pop(0)
                self._busy[worker] = task
                self._pool.hand(worker, task)
            if not self._busy and (not waiting or stop()):
                return
            for step in self._hear(waiting):
                if isinstance(step, Died) and step.case:
                    deaths[step.case] += 1
                    if deaths[step.case] >= _DEATHS_MOST:
                        waiting = deque(task for task in waiting if task.case.id != step.case)
                        yield step
                        step = _given_up(step)
                yield step

    def close(self) -> None:
        """End workers."""
        self._pool.close()

    def _hear(self, waiting: deque[CaseTask] | None) -> Iterator[CaseRecord | Died]:
        """What the next message of a worker means; the case of a dead one goes to the end of `waiting`."""
        worker, said = self._pool.wait()
        if isinstance(said, Ready):
            self._loading.discard(worker)
            self._check(said.facts)
            self._idle.append(worker)
        elif isinstance(said, CaseRecord):
            del self._busy[worker]
            self._idle.append(worker)
            yield said
        else:
            task = self._busy.pop(worker, None)
            if worker in self._idle:
                self._idle.remove(worker)
            if worker in self._loading:
                self._loading.discard(worker)
                self._count_failed_load(said)
            if task is not None and waiting is not None:
                waiting.append(task)
            if waiting is None or waiting:
                self._loading.add(self._pool.add())
            yield Died(detail=said.detail, case=task.case.id if task else "")

    def _count_failed_load(self, death: Died) -> None:
        self._failed_loads += 1
        if self._failed_loads >= _LOADS_MOST:
            raise SegmenterError(
                f"Batch: expected workers that build their segmenter, found {_LOADS_MOST} that ended before "
                f"({death.detail}). What they printed stands above; try with one worker."
            )

    def _check(self, facts: SegmenterFacts) -> None:
        if self._facts is None:
            self._facts = facts
        if segmenter_sha256(self._facts) != segmenter_sha256(facts):
            raise SegmenterError(
                "Batch: expected the same segmenter and weights in each worker, found different ones. "
                "Install the same version everywhere."
            )


def _given_up(death: Died) -> CaseRecord:
    message = (
        f"expected a worker that finishes the case, found {_DEATHS_MOST} that ended over it ({death.detail}). "
        "Too little memory is the usual reason: use fewer workers, or leave the case out."
    )
    return CaseRecord(case=death.case, state="failed", code="worker_died", message=message)
