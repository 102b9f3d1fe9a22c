"""Findings for tests: a lopsided blob, one that overlaps it, one with a hole, and one that is not there."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy import ndarray

from medseg.io.dicom_output import DicomOptions
from medseg.study.finding import Finding, Status
from medseg.study.quantities import Quantities
from medseg.study.result import Provenance, SegmentationResult
from medseg.study.volume import Volume

AT_NOON = DicomOptions(made_at=datetime(2024, 2, 29, 12, 0, 0))
MEASURED = Quantities(
    voxels=18, volume_ml=0.25, area_mm2=56.5, area_pixels=9, long_axis_mm=12.5, short_axis_mm=7.25, axis_slice=1,
    components=1, touches_border=False, intensity_mean=-33.25, intensity_std=1.0, intensity_min=-50.0,
    intensity_max=2.0, unit="HU",
)  # fmt: skip


def finding(label: str, mask: ndarray, status: Status = "found", quantities: Quantities | None = None) -> Finding:
    return Finding(label=label, status=status, mask=mask, presence=0.75, quality=0.5, quantities=quantities)


def box(volume: Volume, low: tuple[int, int, int], high: tuple[int, int, int]) -> ndarray:
    mask = np.zeros(volume.shape, dtype=bool)
    mask[tuple(slice(first, last) for first, last in zip(low, high, strict=True))] = True
    return mask


def three_findings(volume: Volume) -> list[Finding]:
    """Two that overlap, the second with a hole, and one that is not there. Needs 8 x 6 x 4 voxels."""
    first, second = box(volume, (1, 1, 0), (5, 4, 2)), box(volume, (3, 1, 1), (8, 6, 4))
    second[5, 3, 2] = False
    return [
        finding("left lung", first, quantities=MEASURED),
        finding("liver tumour", second, "uncertain"),
        finding("spleen", np.zeros_like(first), "not_found"),
    ]


def result_of(volume: Volume, findings: list[Finding], warnings: tuple[str, ...] = ()) -> SegmentationResult:
    record = Provenance(
        segmenter="threshold", weights_sha256="ab" * 32, input_sha256="", preprocessing={},
        thresholds={"presence": 0.5}, versions={"torch": "2.0"},
    )  # fmt: skip
    return SegmentationResult(
        question="Where?", text="There.", findings=tuple(findings), volume=volume, provenance=record, warnings=warnings
    )
