"""Does a batch that is killed at random moments end as an unbroken one?

Runs a batch of small studies, some of them broken, once to its end and once with ten kills (SIGKILL) at random moments
of its work, each followed by the same call again. Then compares every final output byte for byte, the journal with the
results, and looks for half-written files.

    python -m benchmarks.batch_kills --kills 10 --workers 1
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.medseg.inference.batch_studies import contents, write_broken, write_good
from tests.medseg.inference.killed_batch import run_with_kills


def measure(kills: int, cases: int, workers: int, seed: int) -> bool:
    """Print what was found; whether nothing is lost, doubled or half-written."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_good(root / "in", cases - 5)
        write_broken(root / "in")
        run_with_kills(root / "in", root / "whole", kills=0, workers=workers, seed=seed)
        struck = run_with_kills(root / "in", root / "killed", kills=kills, workers=workers, seed=seed)
        whole, killed = contents(root / "whole"), contents(root / "killed")
        half = [path for path in (root / "killed").rglob("*") if ".partial" in path.name]
        with sqlite3.connect(root / "killed" / "journal.sqlite") as base:
            states = dict(base.execute("SELECT state, count(*) FROM cases GROUP BY state"))
            attempts = dict(base.execute("SELECT attempts, count(*) FROM cases GROUP BY attempts"))
        done = Counter(case for event, case in _events(root / "killed") if event == "case_done")
    twice = sum(count > 1 for count in done.values())
    print(f"kills that struck a batch at work: {struck} of {kills}, {workers} worker(s)")
    print(f"cases: {cases}; journal: {states}; attempts -> cases: {attempts}")
    differ = sum(whole.get(name) != data for name, data in killed.items())
    lost = len(whole.keys() - killed.keys())
    print(f"final outputs: {len(killed)} files, {differ} differ, {lost} lost, {len(half)} half-written")
    print(f"cases done more than once: {twice}; broken ones are tried again by each call")
    return whole == killed and not half and not twice and struck == kills


def _events(out: Path) -> list[tuple[str, str]]:
    """Kind and case of each whole line; a kill may tear one."""
    found = []
    for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        found.append((event["event"], event.get("case") or ""))
    return found


def main() -> int:
    """0 where everything is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    return 0 if measure(asked.kills, asked.cases, asked.workers, asked.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
