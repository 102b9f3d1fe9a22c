"""`load_segmenter`: a segmenter by its name. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medseg.errors import InvalidInputError
from medseg.inference.classical import load_classical
from medseg.inference.medsegr import load_embedded, load_medsegr
from medseg.inference.segmenter import Segmenter

SEGMENTERS: dict[str, Callable[[Path | None, str], Segmenter]] = {
    "classical": load_classical,
    "medsegr": load_medsegr,
    "medsegr-tiny": load_embedded,
}
"""Name -> what loads it, from a file of weights (None: its own) and a device."""


def load_segmenter(name: str = "classical", *, weights: Path | None = None, device: str = "cpu") -> Segmenter:
    """A loaded segmenter, to be kept and asked many times.

    Args:
        name: as in `SEGMENTERS`. `classical` is a stand-in of rules without learned weights.
        weights: a checkpoint of yours; None for the one that belongs to the name.
        device: where it computes, as `cpu` or `cuda:0`.

    Example:
        >>> load_segmenter("classical").facts.name
        'classical'

    Raises:
        InvalidInputError: the name is unknown, or the segmenter does not take these weights or this device.
    """
    if name not in SEGMENTERS:
        raise InvalidInputError(f"Segmenter: expected one of {', '.join(SEGMENTERS)}, found {name!r}. Choose one.")
    return SEGMENTERS[name](weights, device)
