"""`ProcessPool`: workers as processes of this machine, spawned, so that each builds a segmenter of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from medseg.errors import MedSegError
from medseg.inference.batch_case import CaseRecord, CaseTask, run_case
from medseg.inference.batch_engine import Died, LoadSegmenter, Ready

_GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection


class ProcessPool:
    """Workers by number. They ignore Ctrl+C, which is meant for this process, and end with it."""

    def __init__(self, load: LoadSegmenter) -> None:
        """`load` is sent to each worker, so it has to be a function of a module, not a closure."""
        self._load = load
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Worker] = {}
        self._count = 0

    def add(self) -> int:
        """Begin a worker; its number."""
        here, there = self._context.Pipe()
        process = self._context.Process(target=_work, args=(there, self._load), daemon=True)
        with _without_interrupts():
            process.start()
        there.close()
        self._count += 1
        self._workers[self._count] = _Worker(process=process, connection=here)
        return self._count

    def hand(self, worker: int, task: CaseTask) -> None:
        """Give a case to a ready worker."""
        with suppress(OSError):  # it is dead: `wait` says so
            self._workers[worker].connection.send(task)

    def wait(self) -> tuple[int, Ready | CaseRecord | Died]:
        """The next thing that a worker says, or its death.

        Raises:
            MedSegError: its segmenter cannot be built.
        """
        numbers = {worker.connection: number for number, worker in self._workers.items()}
        connection = wait(list(numbers))[0]
        number = numbers[connection]  # type: ignore[index]
        try:
            said = self._workers[number].connection.recv()
        except (EOFError, OSError):
            return number, Died(detail=self._bury(number))
        if isinstance(said, MedSegError):
            raise said
        return number, said

    def close(self) -> None:
        """End all workers: those without a case at once, others after a moment."""
        for worker in self._workers.values():
            worker.connection.close()
        for worker in self._workers.values():
            worker.process.join(_GOODBYE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _bury(self, number: int) -> str:
        worker = self._workers.pop(number)
        worker.connection.close()
        worker.process.join(_GOODBYE_S)
        code = worker.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl+C back; a process begun meanwhile never hears it, not even while it imports its modules."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, load: LoadSegmenter) -> None:
    """Life of a worker: build the segmenter, then run what comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        segmenter = load()
    except MedSegError as error:
        connection.send(error)
        return
    connection.send(Ready(facts=segmenter.facts))
    while True:
        try:
            connection.send(run_case(segmenter, connection.recv()))
        except (EOFError, OSError):  # the other end is gone
            return


def _end_with_parent() -> None:
    """A worker without its parent would go on writing into a folder that another run may hold."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
