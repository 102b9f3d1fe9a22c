"""What a CT of 512 x 512 x 400 takes from files to masks: `python -m benchmarks.volume_memory`. Bar: 6 GB resident.

Makes the CT as DICOM and as NIfTI, then runs each path in a process of its own and prints its peak of resident memory
and its seconds. `classical` reads, asks for six structures and writes each mask as NIfTI. `network` reads, slides a
network of many classes over the volume and writes the labels; all logits at once would be classes x 0.42 GB.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.medseg.made_ct import made_ct
from tests.medseg.made_series import straight_positions, write_slices

SHAPE = (512, 512, 400)
SPACING = (0.8, 0.8, 1.0)
QUESTION = "Mark the body, the lungs, the left lung, the bone, the fat and the bright region."


def main() -> None:
    """Make the CT and run each path, or run the one path that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, help="voxels along i, j and k")
    parser.add_argument("--classes", type=int, default=20, help="classes of the network")
    parser.add_argument("--paths", nargs="+", default=["dicom classical", "nifti classical", "nifti network"])
    parser.add_argument("--child", nargs=2, metavar=("STUDY", "WAY"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        return run_path(Path(asked.child[0]), asked.child[1], asked.classes)
    print(f"{asked.shape[0]} x {asked.shape[1]} x {asked.shape[2]} int16, question: {QUESTION}")
    with tempfile.TemporaryDirectory() as made:
        for path in asked.paths:
            form, way = path.split()
            study = made_study(Path(made), form, (asked.shape[0], asked.shape[1], asked.shape[2]))
            command = [sys.executable, "-m", "benchmarks.volume_memory", "--child", str(study), way]
            print(f"{path:18}", flush=True, end=" ")
            subprocess.run([*command, "--classes", str(asked.classes)], check=True)


def made_study(folder: Path, form: str, shape: tuple[int, int, int]) -> Path:
    """The CT as files: a folder of DICOM slices, or one packed NIfTI file. Made once."""
    study = folder / ("series" if form == "dicom" else "ct.nii.gz")
    if study.exists():
        return study
    values = made_ct(shape, SPACING)
    rng = np.random.default_rng(0)
    for k in range(shape[2]):
        values[:, :, k] += rng.integers(-20, 21, shape[:2], dtype=np.int16)
    if form == "dicom":
        stored = (values + np.int16(1024)).transpose(2, 1, 0)
        return write_slices(study, stored, straight_positions(shape[2], SPACING[2]), spacing=SPACING[:2])
    from medseg.io.nifti import write_nifti_bytes

    study.write_bytes(write_nifti_bytes(values, np.diag([*SPACING, 1.0]), packed=True))
    return study


def run_path(study: Path, way: str, classes: int) -> None:
    """One path from files to files; prints its figures."""
    from medseg.inference.catalogue import load_segmenter
    from medseg.inference.segment import segment
    from medseg.io.read_study import ReadOptions, read_study
    from medseg.io.write_masks import write_mask_nifti

    start = time.perf_counter()
    read = read_study(study, options=ReadOptions(modality="CT"))
    after_reading = peak_gb()
    out = study.parent / "out"
    if way == "classical":
        result = segment(load_segmenter(), read, QUESTION)
        for finding in result.findings:
            write_mask_nifti(out / f"{finding.label}.nii.gz", finding.mask, result.volume)
        what = f"{sum(finding.status == 'found' for finding in result.findings)} of {len(result.findings)} found"
    else:
        import torch

        from medseg.inference.sliding_window import label_map

        network = torch.nn.Conv3d(1, classes, 1).eval()
        labels = label_map(network, read.volume.voxels[None])
        write_mask_nifti(out / "labels.nii.gz", labels, read.volume)
        what = f"{len(np.unique(labels))} of {classes} labels"
    seconds = time.perf_counter() - start
    print(f"peak {peak_gb():.2f} GB (after reading {after_reading:.2f} GB), {seconds:.0f} s, {what}")


def peak_gb() -> float:
    """Largest resident memory of this process so far, GB (10^9 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():  # of this program alone; rusage counts the process it was forked from
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


if __name__ == "__main__":
    main()
