"""`SegmentationResult`: the answer to one question about one volume, and how it came about. Writers take it whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medseg.errors import InvalidInputError
from medseg.study.finding import Finding
from medseg.study.volume import Volume

RESEARCH_USE = "Research use only. Not a medical device."
"""Stands in every document a person sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a result came about; equal input gives an equal record."""

    segmenter: str
    """Name of the model in the catalogue."""
    weights_sha256: str
    """Hash of its weights; empty where it has none."""
    input_sha256: str
    """Hash of the voxels and their affine."""
    preprocessing: Mapping[str, str]
    """What was done to the intensities and the grid."""
    thresholds: Mapping[str, float]
    """Gates that decided found, uncertain, not found."""
    versions: Mapping[str, str]
    """Versions of the toolkit and of what computed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentationResult:
    """The answer to one question. It holds no name of a person; the paths inside `volume.source` are never written."""

    question: str
    """As it was asked."""
    text: str
    """The answer in words."""
    findings: tuple[Finding, ...]
    """In the order the answer mentions them; masks on `volume`'s voxels."""
    volume: Volume = field(repr=False)
    """What was asked about, as read; writers bring masks to its source grid."""
    provenance: Provenance
    """How it came about."""
    warnings: tuple[str, ...] = ()
    """What a person should know: notices of the reader and of the model."""

    def __post_init__(self) -> None:
        for finding in self.findings:
            if finding.mask.shape != self.volume.shape:
                raise InvalidInputError(
                    f"SegmentationResult: expected masks of {self.volume.shape}, found {finding.mask.shape} for "
                    f"{finding.label!r}. Bring the mask to the volume's voxels first."
                )
