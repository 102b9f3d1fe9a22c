"""How many times faster is a batch than a fresh process per case, which is the habit elsewhere?

    python -m benchmarks.batch_throughput --cases 30

Both sides answer the same question about the same small volumes with the classical segmenter; the batch's time includes
its own start. Bar: 8 times.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.medseg.inference.batch_studies import QUESTION, write_good


def main() -> int:
    """0 where the bar is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=30)
    cases = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        inputs = write_good(root / "in", cases)
        alone = [
            _seconds("segment", "-i", str(path), "-o", str(root / "one" / str(number)), QUESTION)
            for number, path in enumerate(inputs)
        ]
        batch = _seconds("batch", "-i", str(root / "in"), "-o", str(root / "all"), "--question", QUESTION)
    ratio = sum(alone) / batch
    print(f"{cases} cases, a process each: {sum(alone):.1f} s ({min(alone):.2f} s the fastest)")
    print(f"{cases} cases, one batch:      {batch:.1f} s")
    print(f"ratio {ratio:.1f}, bar 8")
    return 0 if ratio >= 8 else 1


def _seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "medseg.cli", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
