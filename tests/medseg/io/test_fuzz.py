"""Files broken at random end in a study or in an error of ours, soon."""

from __future__ import annotations

from pathlib import Path

from tests.medseg.io.mutated_files import (
    broken_files,
    broken_objects,
    images_of_objects,
    object_outcome,
    read_outcome,
    seed_files,
    seed_objects,
)
from tests.medseg.made_series import PLANTED_WORDS

COUNT, SECONDS = 200, 10.0


def test_whole_seed_files_are_read(tmp_path: Path) -> None:
    for name, content in seed_files(tmp_path / "seeds").items():
        (tmp_path / name).write_bytes(content)
        assert read_outcome(tmp_path / name)[0] == "read", name


def test_no_broken_file_breaks_a_reader(tmp_path: Path) -> None:
    outcomes: dict[str, int] = {}
    for number, (name, content) in enumerate(broken_files(tmp_path / "seeds", COUNT, seed=20)):
        path = tmp_path / f"{number:03d}{name}"
        path.write_bytes(content)
        outcome, seconds, error = read_outcome(path)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert not outcome.startswith("FOREIGN"), f"{path.name}: {error!r}"
        assert seconds < SECONDS, path.name
        assert not any(word in str(error) for word in PLANTED_WORDS), path.name
    # The test would say nothing if every file were refused, or none.
    assert outcomes["read"] > COUNT // 20
    assert outcomes["StudyFileError"] > COUNT // 10


def test_no_broken_segmentation_or_structure_set_breaks_a_reader(tmp_path: Path) -> None:
    volume = images_of_objects(tmp_path)
    seeds = seed_objects(tmp_path, volume)
    outcomes: dict[str, int] = {}
    for name in seeds:
        assert object_outcome(tmp_path / name, name, volume)[0] == "read"
    for number, (name, content) in enumerate(broken_objects(seeds, COUNT // 2, seed=21)):
        path = tmp_path / f"{number:03d}{name}"
        path.write_bytes(content)
        outcome, seconds, error = object_outcome(path, name, volume)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert not outcome.startswith("FOREIGN"), f"{path.name}: {error!r}"
        assert seconds < SECONDS, path.name
        assert not any(word in str(error) for word in PLANTED_WORDS), path.name
    assert outcomes["read"] > COUNT // 40
    assert sum(outcomes.values()) - outcomes["read"] > COUNT // 20
