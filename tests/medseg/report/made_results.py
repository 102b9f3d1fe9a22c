"""Small results with known masks, for tests of what people look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from medseg.study.finding import Finding, Status
from medseg.study.quantities import measure
from medseg.study.result import Provenance, SegmentationResult
from medseg.study.volume import Volume, volume_in_memory

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`&</style></title>\u202e{{7*7}}"
"""What must be read as these characters and as nothing else."""


def provenance(**changes: object) -> Provenance:
    facts = {
        "segmenter": "squares",
        "weights_sha256": "ab" * 32,
        "input_sha256": "cd" * 32,
        "preprocessing": {"window": "soft tissue (-160..240 HU)"},
        "thresholds": {"presence": 0.5},
        "versions": {"vision3d-medseg": "0.1.0"},
    }
    return Provenance(**(facts | changes))


def finding(
    volume: Volume,
    label: str,
    mask: ndarray | None = None,
    *,
    status: Status = "found",
    span: tuple[int, int] | None = None,
) -> Finding:
    """A finding as `segment` makes it; without a mask it is not found."""
    held = np.zeros(volume.shape, dtype=bool) if mask is None else mask
    return Finding(
        label=label,
        status="not_found" if mask is None else status,
        mask=held,
        presence=0.04 if mask is None else 0.97,
        quality=0.0 if mask is None else 0.9,
        span=span,
        quantities=measure(held, volume),
    )


def result(
    volume: Volume, findings: Sequence[Finding], *, question: str = "Where is it?", text: str = "Here.", **more: object
) -> SegmentationResult:
    return SegmentationResult(
        question=question, text=text, findings=tuple(findings), volume=volume, **({"provenance": provenance()} | more)
    )


def picture(width: int = 40, height: int = 30, value: int = 100) -> Volume:
    """A grey picture as the reader gives it."""
    grey = np.full((width, height, 1), value, dtype=np.uint8)
    made = volume_in_memory(grey, np.diag([-1.0, -1.0, 1.0, 1.0]), unit="8 bit")
    return Volume(
        voxels=made.voxels,
        voxel_to_ras=made.voxel_to_ras,
        modality="unknown",
        unit="8 bit",
        source=made.source,
        space="picture",
        spacing_known=False,
    )


def ct(shape: tuple[int, int, int] = (24, 20, 8), spacing: tuple[float, float, float] = (2.0, 2.0, 6.0)) -> Volume:
    """Water in axial slices, i to the right, j to the front, k to the head."""
    return volume_in_memory(np.zeros(shape, dtype=np.int16), np.diag([*spacing, 1.0]), modality="CT", unit="HU")


def box(volume: Volume, *ranges: tuple[int, int]) -> ndarray:
    mask = np.zeros(volume.shape, dtype=bool)
    mask[tuple(slice(*ends) for ends in ranges)] = True
    return mask


def two_found_one_not() -> SegmentationResult:
    """An answer about a CT with two masks (one uncertain) and one thing that is not there."""
    volume = ct()
    text = "The left kidney is seen, the cyst perhaps, no stone."
    findings = [
        finding(volume, "left kidney", box(volume, (2, 8), (4, 10), (2, 5)), span=(4, 15)),
        finding(volume, "cyst", box(volume, (14, 18), (12, 16), (6, 7)), status="uncertain", span=(29, 33)),
        finding(volume, "stone", span=(46, 51)),
    ]
    return result(volume, findings, question="Is there a stone in the left kidney?", text=text)
