"""How the readers of studies take files broken at random: `python -m benchmarks.reader_fuzz --count 2000`.

Prints how many files ended in a study, in which error, the slowest one, and every foreign exception with its seed. The
suite breaks 200 of the same kind.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.medseg.io.mutated_files import broken_files, read_outcome


def main() -> None:
    """Break, read and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="files to break")
    parser.add_argument("--seed", type=int, default=0, help="which breaks")
    asked = parser.parse_args()
    outcomes: dict[str, int] = {}
    slowest, foreign = (0.0, ""), []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for number, (name, content) in enumerate(broken_files(folder / "seeds", asked.count, asked.seed)):
            path = folder / f"{number:05d}{name}"
            path.write_bytes(content)
            outcome, seconds, error = read_outcome(path)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            slowest = max(slowest, (seconds, path.name))
            if outcome.startswith("FOREIGN"):
                foreign.append(f"{path.name}: {error!r}")
            path.unlink()
    seconds = time.perf_counter() - start
    print(f"{asked.count} broken files, seed {asked.seed}, {seconds:.0f} s; slowest {slowest[0]:.2f} s ({slowest[1]})")
    for outcome, count in sorted(outcomes.items()):
        print(f"{outcome:30}{count:7}")
    print("\n".join(foreign) or "no foreign exception")


if __name__ == "__main__":
    main()
