"""Small studies and segmenters for tests of batches: real files, a threshold in place of a model."""

from __future__ import annotations

import os
import signal
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np

from medseg.inference.segmenter import Answer, AnsweredTarget, SegmenterFacts, Turn
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow
from tests.medseg.made_series import noise, straight_positions, write_slices

QUESTION = "Where is the bright region?"


class Threshold:
    """Everything above the mean, which is one phrase of the answer."""

    def __init__(self, weights: str = "a" * 64) -> None:
        self.facts = SegmenterFacts(name="threshold", weights_sha256=weights, versions={"numpy": np.__version__})

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        mask = volume.voxels > volume.voxels.mean()
        target = AnsweredTarget(label="bright region", span=(8, 21), mask=mask, presence=0.9, quality=0.8)
        return Answer(text="It is a bright region.", targets=(target,), preprocessing={"threshold": "mean"})


class Deadly(Threshold):
    """Kills its process over volumes of 13 columns, the way the system does when memory runs out."""

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        if volume.shape[0] == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(volume, question, history)


class Slow(Threshold):
    """Takes a moment over each study."""

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        time.sleep(0.02)
        return super().answer(volume, question, history)


class Buggy(Threshold):
    """Quotes a patient's name in an error of its own over volumes of 13 columns."""

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        if volume.shape[0] == 13:
            raise KeyError("Zyxwvuts^Quorlina")
        return super().answer(volume, question, history)


def write_nifti(path: Path, seed: int = 0, shape: tuple[int, int, int] = (6, 7, 4)) -> Path:
    """A volume of noise at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 100, shape, dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0])), path)
    return path


def write_good(folder: Path, count: int) -> list[Path]:
    """Volumes of noise, each its own."""
    return [write_nifti(folder / f"good{number:03d}.nii.gz", number) for number in range(count)]


def write_broken(folder: Path) -> list[Path]:
    """Five studies, each broken in a way of its own."""
    cut = write_nifti(folder / "cut.nii.gz", 1)
    cut.write_bytes(cut.read_bytes()[:80])
    (folder / "empty.nii").write_bytes(b"")
    gap = [*straight_positions(3), (-10.0, -20.0, 31.0), (-10.0, -20.0, 40.0)]
    missing_slice = write_slices(folder / "gap", noise(), gap)
    two_series = write_slices(folder / "two", noise(), straight_positions(5), series="one")
    write_slices(two_series, noise(seed=1), straight_positions(5), series="other")
    with zipfile.ZipFile(folder / "words.zip", "w") as archive:
        archive.writestr("notes.txt", "no image")
    return [cut, folder / "empty.nii", missing_slice, two_series, folder / "words.zip"]


def contents(folder: Path) -> dict[str, bytes]:
    """Place -> bytes of every final output of a batch: results, failures, the table and the list of inputs.

    Of logs the first lines count: further down stand the wrappers that check shapes in tests, in this process alone.
    """
    places = [*(folder / "results").rglob("*"), *(folder / "failures").rglob("*"), *folder.glob("*.csv")]
    files = {place.relative_to(folder).as_posix(): place.read_bytes() for place in places if place.is_file()}
    return {name: data.partition(b"\n")[0] if name.endswith(".log") else data for name, data in files.items()}
