"""Which formats can be imported, by name."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import InvalidInputError
from medseg.training.importers.biomedparse import import_biomedparse
from medseg.training.importers.coco import import_coco
from medseg.training.importers.grounded_captions import import_grounded_captions
from medseg.training.importers.importer import Importer, ImportOptions
from medseg.training.importers.labelled_folders import import_labelled_folders
from medseg.training.importers.llava import import_llava
from medseg.training.importers.reasonseg import import_reasonseg
from medseg.training.records import QARecord

IMPORTERS: dict[str, Importer] = {
    "reasonseg": import_reasonseg,
    "llava": import_llava,
    "grounded-captions": import_grounded_captions,
    "biomedparse": import_biomedparse,
    "coco": import_coco,
    "msd": import_labelled_folders,
    "nnunet": import_labelled_folders,
}
"""Name -> what reads the format."""


def import_records(name: str, path: str | Path, options: ImportOptions) -> list[QARecord]:
    """The records of a data set in one of the formats.

    Raises:
        InvalidInputError: the format is not known.
        RecordError: the files are not of it.
    """
    if name not in IMPORTERS:
        raise InvalidInputError(f"Import: expected one of {', '.join(IMPORTERS)}, found {name!r}. Choose one of them.")
    return IMPORTERS[name](Path(path), options)
