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


def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    inputs = [*write_good(tmp_path / "in", 5), *write_broken(tmp_path / "in")]
    alone = segment_batch(inputs, QUESTION, tmp_path / "one", segmenter=Threshold, config=BatchConfig(formats=FORMATS))
    both = segment_batch(inputs, QUESTION, tmp_path / "two", segmenter=Threshold, config=TWO)
    assert [(one.case, one.state) for one in alone.outcomes] == [(one.case, one.state) for one in both.outcomes]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_worker_that_dies_costs_its_case_alone(tmp_path: Path) -> None:
    inputs = [write_nifti(tmp_path / "in" / "deadly.nii", shape=(13, 6, 4)), *write_good(tmp_path / "in", 3)]
    heard: list[dict] = []
    report = segment_batch(
        inputs, QUESTION, tmp_path / "out", segmenter=Deadly, config=TWO, on_event=heard.append
    )  # fmt: skip
    assert [outcome.state for outcome in report.outcomes] == ["failed", "done", "done", "done"]
    assert report.outcomes[0].code == "worker_died"
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
            if left == 0 or "timed out" not in str(error):
                raise
    yield
    ray.shutdown()


@pytest.mark.usefixtures("ray_cluster")
def test_ray_writes_what_one_process_writes(tmp_path: Path) -> None:
    inputs = [*write_good(tmp_path / "in", 4), *write_broken(tmp_path / "in")]
    segment_batch(inputs, QUESTION, tmp_path / "one", segmenter=Threshold, config=BatchConfig(formats=FORMATS))
    ray = BatchConfig(formats=FORMATS, workers=2, engine="ray")
    report = segment_batch(inputs, QUESTION, tmp_path / "ray", segmenter=Threshold, config=ray)
    assert (report.count("done"), report.count("failed")) == (4, 5)
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.mark.usefixtures("ray_cluster")
def test_an_actor_that_dies_costs_its_case_alone(tmp_path: Path) -> None:
    inputs = [write_nifti(tmp_path / "in" / "deadly.nii", shape=(13, 6, 4)), *write_good(tmp_path / "in", 2)]
    ray = BatchConfig(formats=FORMATS, workers=2, engine="ray")
    report = segment_batch(inputs, QUESTION, tmp_path / "out", segmenter=Deadly, config=ray)
    assert [(outcome.state, outcome.code) for outcome in report.outcomes] == [
        ("failed", "worker_died"), ("done", ""), ("done", ""),
    ]  # fmt: skip


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
@pytest.mark.parametrize("workers", [1, 2])
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
