"""A run that was stopped and resumed is, bit for bit, the run that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.vlm_bridge.finetune.resumed_job import STEPS, run, stop_after_steps
from vlm_bridge.finetune.finetune import FinetuneResult
from vlm_bridge.finetune.stage_checkpoints import StageCheckpoints
from vlm_bridge.runs.run_folder import RunFolder

Ended = tuple[FinetuneResult, dict[str, Tensor]]


class StoppedError(Exception):
    """Stands in for a kill where a process of its own would take too long."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return run(tmp_path_factory.mktemp("runs") / "unbroken", resume=False)


def assert_same(found: Ended, expected: Ended) -> None:
    for name, value in expected[1].items():
        assert torch.equal(found[1][name], value), name
    lines = [
        [
            {k: v for k, v in line.items() if k != "tokens_per_second"}
            for line in RunFolder(path=one[0].folder).metrics()
        ]
        for one in (found, expected)
    ]
    assert lines[0] == lines[1]
    for one, other in zip(found[0].stages, expected[0].stages, strict=True):
        assert (one.steps, one.loss, one.validation_loss, one.best_step) == (
            other.steps, other.loss, other.validation_loss, other.best_step,
        )  # fmt: skip
        stored, wanted = (load_file(stage.folder / "model.safetensors") for stage in (one, other))
        assert stored.keys() == wanted.keys()
        assert all(torch.equal(stored[name], wanted[name]) for name in wanted)
    assert not list(found[0].folder.rglob(".*partial*"))


def killed(folder: Path, resume: bool, how: str, moment: int, checkout: Path) -> None:
    command = [sys.executable, "-m", "tests.vlm_bridge.finetune.resumed_job"]
    arguments = [str(folder), "resume" if resume else "start", how, str(moment)]
    done = subprocess.run([*command, *arguments], cwd=checkout, env=os.environ, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


def test_a_run_killed_three_times_ends_the_same(tmp_path: Path, checkout: Path, unbroken: Ended) -> None:
    """Real processes: at a random step of the first stage, while it writes a checkpoint of the second, at a random step
    of the second."""
    chance = random.Random(6167)
    folder = tmp_path / "run"
    first = chance.randrange(3, STEPS[0])  # checkpoints are written after 2, 4 and 6 steps
    killed(folder, False, "step", first, checkout)
    saved = RunFolder(path=folder).latest_checkpoint()
    assert saved is not None
    assert saved.state["stage"] == 0
    killed(folder, True, "write", STEPS[0] + 2, checkout)
    assert list(folder.rglob(".step_00000008.*.partial"))
    saved = RunFolder(path=folder).latest_checkpoint()
    assert saved is not None
    assert (saved.step, saved.state["stage"]) == (STEPS[0], 1)
    killed(folder, True, "step", chance.randrange(STEPS[1]), checkout)
    assert_same(run(folder, resume=True), unbroken)


@pytest.mark.parametrize("step", range(sum(STEPS)))
def test_a_run_stopped_at_any_step_ends_the_same(tmp_path: Path, unbroken: Ended, step: int) -> None:
    def stop() -> None:
        raise StoppedError

    end = stop_after_steps(step, stop)
    try:
        with pytest.raises(StoppedError):
            run(tmp_path, resume=False)
    finally:
        end()
    assert_same(run(tmp_path, resume=True), unbroken)


def test_a_run_stopped_between_stages_ends_the_same(
    tmp_path: Path, unbroken: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of the first stage is saved, the checkpoint of its end is not."""

    def stop(*_: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr(StageCheckpoints, "save_end", stop)
        with pytest.raises(StoppedError):
            run(tmp_path, resume=False)
    # What a killed save of the model leaves.
    (tmp_path / "stages" / ".0_connector_only.0.partial").mkdir()
    assert_same(run(tmp_path, resume=True), unbroken)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, unbroken: Ended, caplog: pytest.LogCaptureFixture) -> None:
    def stop() -> None:
        raise StoppedError

    end = stop_after_steps(5, stop)
    try:
        with pytest.raises(StoppedError):
            run(tmp_path, resume=False)
    finally:
        end()
    newest = max((tmp_path / "checkpoints").iterdir())
    assert newest.name == "step_00000004.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    assert_same(run(tmp_path, resume=True), unbroken)
    assert "step_00000004" in caplog.text


def test_a_run_without_a_whole_checkpoint_starts_again(tmp_path: Path, unbroken: Ended) -> None:
    run(tmp_path, resume=False)
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    assert_same(run(tmp_path, resume=True), unbroken)


def test_a_finished_run_gives_its_result_again(tmp_path: Path, unbroken: Ended) -> None:
    run(tmp_path, resume=False)
    assert_same(run(tmp_path, resume=True), unbroken)
