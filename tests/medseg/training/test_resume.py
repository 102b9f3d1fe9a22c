"""A run of training that was killed and resumed is, bit for bit, the run that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from medseg.training.train import MedSegTrainResult
from tests.medseg.training.resumed_job import STEPS, run, stop_after_steps
from vlm_bridge.errors import RunFolderError
from vlm_bridge.runs.run_folder import RunFolder

Ended = tuple[MedSegTrainResult, dict[str, Tensor]]


class StoppedError(Exception):
    """Stands in for a kill where a process of its own would take too long."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return run(tmp_path_factory.mktemp("runs") / "unbroken", resume=False)


def assert_same(found: Ended, expected: Ended) -> None:
    assert found[1].keys() == expected[1].keys()
    apart = [name for name, value in expected[1].items() if not torch.equal(found[1][name], value)]
    assert not apart
    lines = [
        [{k: v for k, v in line.items() if k != "answers_per_second"} for line in RunFolder(path=one.folder).metrics()]
        for one in (found[0], expected[0])
    ]
    assert lines[0] == lines[1]
    assert found[0].stages == expected[0].stages
    stored = [sorted(path.relative_to(one.model) for path in one.model.rglob("*")) for one in (found[0], expected[0])]
    assert stored[0] == stored[1]
    assert not list(found[0].folder.rglob("*partial*"))


def killed(folder: Path, resume: bool, step: int, checkout: Path) -> None:
    command = [sys.executable, "-m", "tests.medseg.training.resumed_job"]
    arguments = [str(folder), "resume" if resume else "start", str(step)]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums depend on their number
    done = subprocess.run(
        [*command, *arguments], cwd=checkout, env={**os.environ, **threads}, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


def stopped(folder: Path, step: int, *, resume: bool) -> None:
    def stop() -> None:
        raise StoppedError

    end = stop_after_steps(step, stop)
    try:
        with pytest.raises(StoppedError):
            run(folder, resume=resume)
    finally:
        end()


def test_the_run_learned_in_both_stages(unbroken: Ended) -> None:
    result, weights = unbroken
    assert [stage.steps for stage in result.stages] == list(STEPS)
    assert all(stage.validation_dice is not None for stage in result.stages)
    assert int(weights["decoder.encoder.down.0.0.1.num_batches_tracked"]) > 0


def test_a_run_killed_in_its_second_stage_ends_the_same(tmp_path: Path, checkout: Path, unbroken: Ended) -> None:
    """A real process; the last checkpoint is one step before, in the middle of an epoch."""
    folder = tmp_path / "run"
    killed(folder, False, STEPS[0] + 2, checkout)
    saved = RunFolder(path=folder).latest_checkpoint()
    assert saved is not None
    assert (saved.step, saved.state["stage"]) == (STEPS[0] + 2, 1)
    assert_same(run(folder, resume=True), unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3, STEPS[0], STEPS[0] + 1])
def test_a_run_stopped_at_any_step_ends_the_same(tmp_path: Path, unbroken: Ended, step: int) -> None:
    stopped(tmp_path / "run", step, resume=False)
    assert_same(run(tmp_path / "run", resume=True), unbroken)


def test_a_run_that_was_done_is_written_again(unbroken: Ended, tmp_path: Path) -> None:
    """Killed while the model was saved: nothing is learned once more."""
    folder = unbroken[0].folder
    assert_same(run(folder, resume=True), unbroken)


def test_other_settings_and_other_weights_are_refused(unbroken: Ended) -> None:
    from medseg.training.train import train_medseg
    from tests.medseg.training.resumed_job import settings
    from tests.medseg.training.shapes import tiny_medseg, write_shapes

    folder = unbroken[0].folder
    records = write_shapes(folder.parent / "data", 4)
    with pytest.raises(RunFolderError, match="starting_weights"):
        train_medseg(
            tiny_medseg(seed=1), records[:3], settings(), folder, validation=records[3:], resume=True, progress=False
        )
    with pytest.raises(RunFolderError, match="expected a folder without a run"):
        train_medseg(tiny_medseg(), records[:3], settings(), folder, validation=records[3:], progress=False)
