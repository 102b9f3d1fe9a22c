"""Batches by several workers: the same bytes as by one, deaths recorded, interrupts and kills survived."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medseg.errors import MissingExtraError, SegmenterError
from medseg.inference.batch import segment_batch
from medseg.inference.batch_config import BatchConfig
from medseg.inference.batch_report import BatchReport
from medseg.inference.ray_engine import start_ray
from tests.medseg.inference.batch_studies import (
    QUESTION,
    Deadly,
    Threshold,
    contents,
    write_broken,
    write_good,
    write_nifti,
)
from tests.medseg.inference.killed_batch import run_with_kills

FORMATS = ("json", "nifti")
TWO = BatchConfig(formats=FORMATS, workers=2)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Studies, whole ones and broken ones; the first kills `Deadly`."""
    folder = tmp_path_factory.mktemp("in")
    deadly = write_nifti(folder / "deadly.nii", shape=(13, 6, 4))
    return [deadly, *write_good(folder, 5), *write_broken(folder)]


@pytest.fixture(scope="module")
def alone(inputs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process writes, with a segmenter that kills nobody."""
    out = tmp_path_factory.mktemp("alone")
    segment_batch(inputs, QUESTION, out, segmenter=Threshold, config=BatchConfig(formats=FORMATS))
    return contents(out)


def assert_as_alone_but_for_the_deadly(alone: dict[str, bytes], out: Path, report: BatchReport) -> None:
    """One case is lost to its workers; every other output has the bytes that one process writes."""
    assert [outcome.state for outcome in report.outcomes] == ["failed", *["done"] * 5, *["failed"] * 5]
    assert [outcome.code for outcome in report.outcomes].count("worker_died") == 1
    deadly = report.outcomes[0]
    assert deadly.code == "worker_died"

    def others(files: dict[str, bytes]) -> dict[str, bytes]:
        return {name: data for name, data in files.items() if deadly.case not in name and name != "report.csv"}

    assert others(contents(out)) == others(alone)
    assert len(others(alone)) > 20


def test_two_processes_write_what_one_writes_and_a_death_costs_its_case_alone(
    inputs: list[Path], alone: dict[str, bytes], tmp_path: Path
) -> None:
    heard: list[dict] = []
    report = segment_batch(inputs, QUESTION, tmp_path, segmenter=Deadly, config=TWO, on_event=heard.append)
    assert_as_alone_but_for_the_deadly(alone, tmp_path, report)
    assert "signal 9" in report.outcomes[0].message
    deadly = report.outcomes[0].case
    assert [event["case"] for event in heard if event["event"] == "worker_died"] == [deadly, deadly]
    assert [event["attempt"] for event in heard if event["event"] == "case_started" and event["case"] == deadly] == [
        1,
        2,
    ]


def unbuildable() -> Threshold:
    raise SegmenterError("Weights: expected a file, found none. Download it.")


def test_a_segmenter_that_cannot_be_built_ends_the_batch(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii")
    for config in (BatchConfig(), TWO):
        with pytest.raises(SegmenterError, match="Download it"):
            segment_batch(path, QUESTION, tmp_path / "out", segmenter=unbuildable, config=config)


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """Two workers' worth of Ray on this machine. A busy machine may miss Ray's own deadline of a start: once more."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'vision3d-medseg[batch]'")
    import ray

    for left in (2, 1, 0):
        try:
            assert start_ray(2)[1]
            break
        except Exception as error:
            ray.shutdown()
            if "timed out" not in str(error):
                raise
            if left == 0:
                pytest.skip("Ray did not start within its own 15 s, three times: the machine is too busy")
    yield
    ray.shutdown()


@pytest.mark.usefixtures("ray_cluster")
def test_two_actors_write_what_one_process_writes_and_a_death_costs_its_case_alone(
    inputs: list[Path], alone: dict[str, bytes], tmp_path: Path
) -> None:
    ray = BatchConfig(formats=FORMATS, workers=2, engine="ray")
    report = segment_batch(inputs, QUESTION, tmp_path, segmenter=Deadly, config=ray)
    assert_as_alone_but_for_the_deadly(alone, tmp_path, report)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_without_ray_the_line_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vision3d-medseg\[batch\]'"):
        segment_batch(
            write_nifti(tmp_path / "a.nii"), QUESTION, tmp_path / "out", segmenter=Threshold,
            config=BatchConfig(engine="ray"),
        )  # fmt: skip


def test_killed_at_random_moments_a_batch_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    inputs = [*write_good(tmp_path / "in", 12), *write_broken(tmp_path / "in")]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    segment_batch(inputs, QUESTION, whole, segmenter=Threshold, config=BatchConfig(formats=FORMATS))
    kills = run_with_kills(tmp_path / "in", killed, kills=2, workers=1, seed=3)
    assert kills == 2
    assert contents(killed) == contents(whole)


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals of POSIX")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_interrupt_lets_the_current_cases_finish(tmp_path: Path, workers: int) -> None:
    write_good(tmp_path / "in", 200)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.medseg.inference.killed_batch", tmp_path / "in", out, str(workers)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        until = time.monotonic() + 120
        while len(list((out / "results").glob("*"))) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to workers as well
        told, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    done = len(list((out / "results").iterdir()))
    assert told.split() == ["done", str(done), "pending", str(200 - done)]
    assert 0 < done < 200
    assert not (out / ".partial").exists()
