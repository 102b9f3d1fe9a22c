"""Memory of a conversion: what it adds to the process at its peak is at most two files of weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.vlm_bridge.backbone.conversion.original_internvl import OriginalInternVL, OriginalSettings, write_original

SHARDS = 8
_MEASURE = """
import json, sys
from pathlib import Path
from safetensors.torch import load_file
import torch
from vlm_bridge.backbone.conversion.convert import convert_checkpoint

def memory(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) * 1024

def peak(job):
    # Bytes by which the process grows at most while the job runs.
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = memory("VmRSS")
    kept = job()
    return memory("VmHWM") - before

def all_at_once():
    files = source.glob("*.safetensors")
    return [{name: value.clone() for name, value in load_file(file).items()} for file in files]

warm, source, target = map(Path, sys.argv[1:])
convert_checkpoint(warm, target / "warm", dtype=torch.bfloat16)  # everything is imported and allocated once
print(json.dumps({
    "plain": peak(lambda: convert_checkpoint(source, target / "plain")),
    "bfloat16": peak(lambda: convert_checkpoint(source, target / "bfloat16", dtype=torch.bfloat16)),
    "all at once": peak(all_at_once),
}))
"""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny one to warm up with, and one of about 86 MB, in files of 23 MB at most."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    write_original(OriginalInternVL(OriginalSettings()), folder / "warm")
    model = OriginalInternVL(OriginalSettings(width=512, heads=4, layers=10))
    write_original(model, folder / "large", shards=SHARDS)
    return folder / "warm", folder / "large"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's count of peak memory")
def test_no_more_than_two_files_are_in_memory(checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MEASURE, *map(str, checkpoints), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4])
    peaks = json.loads(done.stdout.splitlines()[-1])
    sizes = [file.stat().st_size for file in checkpoints[1].glob("*.safetensors")]
    # What the interpreter itself allocates on the way; found to be less than 4 MB.
    allowed = 2 * max(sizes) + 8 * 2**20
    assert peaks["plain"] <= allowed
    assert peaks["bfloat16"] <= allowed
    # The measure can fail: the same weights read all at once go over it.
    assert peaks["all at once"] > 1.5 * allowed
