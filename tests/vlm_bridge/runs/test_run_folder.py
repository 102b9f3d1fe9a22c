"""Run folders: started once, resumed under the same configuration, the same after a real kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from vlm_bridge.errors import InvalidInputError, RunFolderError
from vlm_bridge.runs.run_folder import RunFolder, create_run, resume_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    steps: int = 10
    seed: int = 4
    rate: float = 0.1
    progress_every: int = 5


def test_record_holds_config_seed_versions_and_inputs(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"abc")
    run = create_run(tmp_path / "run", Config(), [tmp_path / "photo"])
    record = json.loads((run.path / "config.json").read_text())
    assert record["config"] == {"steps": 10, "seed": 4, "rate": 0.1, "progress_every": 5}
    assert record["seed"] == 4
    assert {"python", "torch", "numpy"} <= record["versions"].keys()
    # FIPS 180-2, appendix B.1: the digest of "abc" starts so.
    assert record["inputs"][str(tmp_path / "photo")]["sha256"].startswith("ba7816bf")


def test_folder_with_a_run_is_not_started_again(tmp_path: Path) -> None:
    create_run(tmp_path, Config())
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(RunFolderError, match="Resume it"):
        create_run(tmp_path, Config(steps=20))
    assert (tmp_path / "config.json").read_text() == before


def test_nothing_is_written_when_the_start_fails(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="missing"):
        create_run(tmp_path / "run", Config(), [tmp_path / "missing"])
    with pytest.raises(InvalidInputError, match=r"config\.model"):
        create_run(tmp_path / "run", {"model": object()})
    assert not (tmp_path / "run").exists()


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="can be written"):
        create_run(tmp_path / "file" / "run", Config())


def test_resume_with_the_same_config(tmp_path: Path) -> None:
    create_run(tmp_path, Config()).log_metrics(3, psnr=20.5)
    run = resume_run(tmp_path, Config())
    assert run == RunFolder(path=tmp_path)
    assert run.metrics() == [{"step": 3, "psnr": 20.5}]


def test_resume_names_the_fields_that_differ(tmp_path: Path) -> None:
    create_run(tmp_path, Config())
    with pytest.raises(RunFolderError, match=r"rate \(stored 0\.1, asked for 0\.2\); steps \(stored 10") as caught:
        resume_run(tmp_path, Config(steps=20, rate=0.2))
    assert "seed" not in str(caught.value)


def test_fields_that_change_no_result_may_differ(tmp_path: Path) -> None:
    create_run(tmp_path, Config())
    changed = replace(Config(), progress_every=1)
    with pytest.raises(RunFolderError, match="progress_every"):
        resume_run(tmp_path, changed)
    resume_run(tmp_path, changed, may_differ=["progress_every"])


def test_resume_with_changed_inputs_is_refused(tmp_path: Path) -> None:
    photo = tmp_path / "photo"
    photo.write_bytes(b"abc")
    create_run(tmp_path / "run", Config(), [photo])
    moved = photo.rename(tmp_path / "moved")
    resume_run(tmp_path / "run", Config(), [moved])  # the same content at another place is the same input
    moved.write_bytes(b"abd")
    with pytest.raises(RunFolderError, match="inputs"):
        resume_run(tmp_path / "run", Config(), [moved])


@pytest.mark.parametrize("text", [None, "", "[]", '{"seed": 1}'])
def test_resume_without_a_record_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(RunFolderError, match="expected the record of a run"):
        resume_run(tmp_path, Config())


def test_rewinding_forgets_what_came_later(tmp_path: Path) -> None:
    run = create_run(tmp_path, Config())
    for step in (1, 2, 3):
        run.log_metrics(step, psnr=step)
        run.save_checkpoint(step, {"a": torch.tensor(step)}, {}, keep=3)
    leftover = run.checkpoint_folder / ".step_00000004.safetensors.0.partial"
    leftover.touch()
    run.rewind_to(2)
    assert [line["step"] for line in run.metrics()] == [1, 2]
    newest = run.latest_checkpoint()
    assert newest is not None
    assert newest.step == 2
    assert not leftover.exists()


JOB = """
import sys, torch
from vlm_bridge.runs.run_folder import create_run
run = create_run(sys.argv[1], {"seed": 0})
for step in range(1, 10**9):
    run.log_metrics(step, loss=1 / step)
    run.save_checkpoint(step, {"a": torch.full((50_000,), float(step))}, {"seen": step})
    if step == 3:
        print("ready", flush=True)
"""


def test_a_killed_job_can_be_resumed(tmp_path: Path, checkout: Path) -> None:
    """A real process, stopped by SIGKILL while it writes checkpoints without a pause."""
    job = subprocess.Popen(
        [sys.executable, "-c", JOB, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )
    try:
        assert job.stdout is not None
        assert job.stdout.readline() == b"ready\n"
    finally:
        job.send_signal(signal.SIGKILL)
        job.communicate()
    run = resume_run(tmp_path / "run", {"seed": 0})
    found = run.latest_checkpoint()
    assert found is not None
    assert found.step >= 2
    assert found.state == {"seen": found.step}
    assert torch.equal(found.tensors["a"], torch.full((50_000,), float(found.step)))
    run.rewind_to(found.step)
    assert [line["step"] for line in run.metrics()] == list(range(1, found.step + 1))
    assert {path.suffix for path in run.checkpoint_folder.iterdir()} == {".safetensors"}
