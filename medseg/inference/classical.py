"""`ClassicalSegmenter`: a stand-in of rules."""

from __future__ import annotations

from pathlib import Path

from medseg.inference.segmenter import Segmenter


def load_classical(weights: Path | None, device: str) -> Segmenter:
    """The stand-in.

    Raises:
        InvalidInputError: weights are given, or a device other than the CPU.
    """
    raise NotImplementedError
