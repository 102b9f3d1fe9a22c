"""Two processes with whole copies of the model (DDP, on the CPU): they end alike, text alone does not stop them, and a
run that was stopped is resumed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

JOB = """
import sys
from accelerate import PartialState
from tests.vlm_bridge.finetune.colours import COLOURS, QUESTION, answered, picture, quick, tiny_backbone
from tests.vlm_bridge.finetune.resumed_job import stop_after_steps
from vlm_bridge.finetune.config import Stage
from vlm_bridge.finetune.finetune import finetune_backbone
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.finetune.stage_data import StageData
from vlm_bridge.file_hashes import tensors_sha256

folder, stop = sys.argv[1], int(sys.argv[2])
pictures = [answered(QUESTION, colour, picture(colour)) for colour in COLOURS]
texts = [answered("text alone", colour) for colour in COLOURS]
data = StageData(train=ConversationDataset([one for pair in zip(pictures, texts) for one in pair]))
stages = (
    Stage(policy="connector_only", epochs=2, learning_rate=1e-2),
    Stage(policy="sft_all", steps=3, learning_rate=1e-3),
)
if stop:
    stop_after_steps(stop, lambda: sys.exit(3))
backbone = tiny_backbone()
config = quick(*stages, batch_size=1, accumulation=2, bucketing=False, save_every=2)
result = finetune_backbone(backbone, data, config, folder, resume=not stop and sys.argv[3] == "1", progress=False)
print("ended", [stage.steps for stage in result.stages], tensors_sha256(backbone.model.state_dict()))
"""


def launched(job: Path, checkout: Path, *arguments: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(job), *arguments],
        env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    return done.returncode, [line for line in done.stdout.splitlines() if line.startswith("ended")]


@pytest.mark.slow
def test_two_processes_end_alike_and_can_be_resumed(tmp_path: Path, checkout: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text(JOB)
    code, unbroken = launched(job, checkout, str(tmp_path / "a"), "0", "0")
    assert code == 0
    # 16 records are 8 passes of each process and 4 steps an epoch.
    assert len(unbroken) == 2
    assert unbroken[0] == unbroken[1]
    assert unbroken[0].startswith("ended [8, 3] ")
    code, _ = launched(job, checkout, str(tmp_path / "b"), "5", "0")
    assert code != 0
    code, resumed = launched(job, checkout, str(tmp_path / "b"), "0", "1")
    assert code == 0
    assert set(resumed) == set(unbroken)
