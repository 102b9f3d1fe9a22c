"""A batch in a process of its own, killed at random moments and begun again, until it ends by itself.

`python -m tests.medseg.inference.killed_batch INPUTS OUT WORKERS` runs the batch once.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from medseg.inference.batch import segment_batch
from medseg.inference.batch_config import BatchConfig
from tests.medseg.inference.batch_studies import QUESTION, Slow

CHECKOUT = Path(__file__).resolve().parents[3]
_LONGEST_S = 300.0


def listed(folder: Path) -> list[Path]:
    """The inputs in the order in which the tests write them: whole studies first."""
    places = sorted(place for place in folder.iterdir())
    return [place for place in places if place.name.startswith("good")] + [
        folder / name for name in ("cut.nii.gz", "empty.nii", "gap", "two", "words.zip") if (folder / name).exists()
    ]


def run_once(folder: Path, out: Path, workers: int) -> int:
    """One call; its exit code."""
    config = BatchConfig(formats=("json", "nifti"), workers=workers)
    report = segment_batch(listed(folder), QUESTION, out, segmenter=Slow, config=config)
    sys.stdout.write(f"done {report.count('done')} pending {report.count('pending')}\n")
    return report.exit_code


def run_with_kills(folder: Path, out: Path, *, kills: int, workers: int, seed: int) -> int:
    """Run a batch to its end, killing it `kills` times on the way; how many kills struck a batch at work.

    A kill strikes at a random moment after the first event that a run writes, so that it falls into work and not into
    the imports. Once a run ends by itself there is nothing left to kill.
    """
    moment = random.Random(seed)
    struck = 0
    while True:
        before = size(out / "events.jsonl")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.medseg.inference.killed_batch", str(folder), str(out), str(workers)],
            cwd=CHECKOUT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        until = time.monotonic() + _LONGEST_S
        while process.poll() is None and size(out / "events.jsonl") == before and time.monotonic() < until:
            time.sleep(0.002)
        if struck < kills:
            try:
                process.wait(moment.uniform(0.0, 0.5))
            except subprocess.TimeoutExpired:
                process.kill()
                struck += 1
        _, errors = process.communicate(timeout=_LONGEST_S)
        if process.returncode in (0, 2):
            return struck
        if process.returncode != -9:
            raise RuntimeError(errors.decode(errors="replace"))


def size(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


if __name__ == "__main__":
    sys.exit(run_once(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
