"""How the readers take files broken at random: `python -m benchmarks.reader_fuzz --count 2000 --objects 600`.

Breaks studies (DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF, zip), and segmentations and structure sets that belong
to a volume. Prints how many files ended in masks or a study, in which error, the slowest one, the memory the process
took at most, and every foreign exception with its file. The suite breaks 300 of the same kind.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.medseg.io.mutated_files import (
    broken_files,
    broken_objects,
    images_of_objects,
    object_outcome,
    read_outcome,
    seed_objects,
)

SECONDS_MAX = 10.0
Outcome = tuple[str, float, BaseException | None]


@dataclass(kw_only=True)
class Tally:
    """What became of the files so far."""

    outcomes: dict[str, int] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")
    foreign: list[str] = field(default_factory=list)

    def add(self, name: str, outcome: Outcome) -> None:
        """Count one file."""
        what, seconds, error = outcome
        self.outcomes[what] = self.outcomes.get(what, 0) + 1
        self.slowest = max(self.slowest, (seconds, name))
        if what.startswith("FOREIGN") or seconds > SECONDS_MAX:
            self.foreign.append(f"{name}: {seconds:.1f} s, {error!r}")


def main() -> None:
    """Break, read and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="studies to break")
    parser.add_argument("--objects", type=int, default=600, help="segmentations and structure sets to break")
    parser.add_argument("--seed", type=int, default=0, help="which breaks")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        show(
            "studies",
            broken_files(folder / "seeds", asked.count, asked.seed),
            folder,
            lambda path, _: read_outcome(path),
        )
        volume = images_of_objects(folder)
        objects = broken_objects(seed_objects(folder, volume), asked.objects, asked.seed)
        show("objects", objects, folder, lambda path, name: object_outcome(path, name, volume))
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB of memory")


def show(what: str, broken: Iterator[tuple[str, bytes]], folder: Path, read: Callable[[Path, str], Outcome]) -> None:
    """Read each broken file and print what became of all."""
    tally, start = Tally(), time.perf_counter()
    for number, (name, content) in enumerate(broken):
        path = folder / f"{number:05d}{name}"
        path.write_bytes(content)
        tally.add(path.name, read(path, name))
        path.unlink()
    count, seconds = sum(tally.outcomes.values()), time.perf_counter() - start
    print(f"{count} broken {what}, {seconds:.0f} s; slowest {tally.slowest[0]:.2f} s ({tally.slowest[1]})")
    for outcome, times in sorted(tally.outcomes.items()):
        print(f"  {outcome:28}{times:7}")
    print("\n".join(tally.foreign) or "  no foreign exception, none over 10 s")


if __name__ == "__main__":
    main()
