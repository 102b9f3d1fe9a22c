"""`RayPool`: workers as actors of a Ray cluster, or of this machine where no cluster is named.

The cluster is that of `RAY_ADDRESS` or of a `ray.init` of the caller. Inputs and output folder have to lie on a disk
that all its machines see under the same paths. Nothing is reported to Ray's makers, and no dashboard is begun.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from medseg.errors import MedSegError, MissingExtraError
from medseg.inference.batch_case import CaseRecord, CaseTask, run_case
from medseg.inference.batch_engine import Died, LoadSegmenter, Ready
from medseg.inference.segmenter import Segmenter, SegmenterFacts


def start_ray(workers: int) -> tuple[Any, bool]:
    """The module of Ray with a cluster to work on, and whether it was begun here.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "Batch: expected the package ray for the engine ray, found none. Run: pip install 'vision3d-medseg[batch]'"
        ) from error
    if ray.is_initialized():
        return ray, False
    own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **own)
    return ray, True


class RayPool:
    """Workers by number."""

    def __init__(self, load: LoadSegmenter, workers: int) -> None:
        """`load` is sent to each actor.

        Raises:
            MissingExtraError: Ray is not installed.
        """
        self._ray, self._began_ray = start_ray(workers)
        self._load = load
        self._actors: dict[int, Any] = {}
        self._awaited: dict[Any, int] = {}
        self._count = 0

    def add(self) -> int:
        """Begin a worker; its number."""
        # A restart by Ray would hide a death: the engine counts them.
        remote = self._ray.remote(max_restarts=0, max_task_retries=0)(_CaseActor)
        self._count += 1
        actor = self._actors[self._count] = remote.remote(self._load)
        self._awaited[actor.build.remote()] = self._count
        return self._count

    def hand(self, worker: int, task: CaseTask) -> None:
        """Give a case to a ready worker."""
        self._awaited[self._actors[worker].run.remote(task)] = worker

    def wait(self) -> tuple[int, Ready | CaseRecord | Died]:
        """The next thing that a worker says, or its death.

        Raises:
            MedSegError: its segmenter cannot be built.
        """
        (done,), _ = self._ray.wait(list(self._awaited), num_returns=1)
        worker = self._awaited.pop(done)
        try:
            said = self._ray.get(done)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, MedSegError):
                raise cause from None
            self._ray.kill(self._actors.pop(worker))
            return worker, Died(detail=type(error).__name__)
        return worker, Ready(facts=said) if isinstance(said, SegmenterFacts) else said

    def close(self) -> None:
        """End all workers, and Ray where it was begun here."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        if self._began_ray:
            self._ray.shutdown()


class _CaseActor:
    """One worker. It builds its segmenter when asked, not when it is made, so that errors come back."""

    def __init__(self, load: LoadSegmenter) -> None:
        self._load = load
        self._built: list[Segmenter] = []

    def build(self) -> SegmenterFacts:
        self._built = [self._load()]
        return self._built[0].facts

    def run(self, task: CaseTask) -> CaseRecord:
        return run_case(self._built[0], task)
