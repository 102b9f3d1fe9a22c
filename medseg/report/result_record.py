"""A result as JSON: `result_to_json` and the schema it keeps to, `result.schema.json` beside this file.

Equal results give equal bytes. No path, file name, name of a person, DICOM identifier or time stands in it. Numbers
that are not finite become null, with a warning. Units are in the names: ml, mm, mm2. Spans count Unicode characters
of the answer; indices count from 0, findings from 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from medseg.errors import InvalidInputError
from medseg.report.result_words import mask_stem, result_warnings, without_file_names
from medseg.study.finding import Finding
from medseg.study.quantities import Quantities
from medseg.study.result import RESEARCH_USE, Provenance, SegmentationResult
from medseg.study.volume import Volume
from vlm_bridge.atomic_write import write_text_whole

SCHEMA_VERSION = "1.0"
"""Grows in its first part when a reader of the older one would misread the newer."""
_FOUND = {"found": True, "uncertain": None, "not_found": False}


def result_to_json(result: SegmentationResult) -> str:
    """The result without its masks, as JSON with a line feed at the end.

    `found` is false for what was looked for and is not there, null where uncertain. `mask_name` is the name of the
    mask's file without its ending, null where there is no mask and so no file.
    """
    return json.dumps(result_record(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_result_json(path: Path, result: SegmentationResult) -> None:
    """Writes `result_to_json`, UTF-8.

    Raises:
        InvalidInputError: the name does not end in .json.
    """
    if path.suffix.lower() != ".json":
        raise InvalidInputError(f"Result: expected a name in .json, found {path.suffix!r}. Rename it.")
    write_text_whole(path, result_to_json(result))


def result_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `result_to_json`."""
    return json.loads(resources.files("medseg.report").joinpath("result.schema.json").read_text(encoding="utf-8"))


def result_record(result: SegmentationResult) -> dict[str, Any]:
    """The result in plain dicts, lists, strings and finite numbers."""
    record = {
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_USE,
        "question": result.question,
        "answer": result.text,
        "findings": [_finding(number, finding) for number, finding in enumerate(result.findings, 1)],
        "volume": _volume(result.volume),
        "provenance": _provenance(result.provenance, result.volume),
        "warnings": list(result_warnings(result)),
    }
    lost: list[str] = []
    finite = _finite(record, "", lost)
    finite["warnings"] += [f"{place} is not a finite number and was left empty." for place in lost]
    return finite


def _finding(number: int, finding: Finding) -> dict[str, Any]:
    return {
        "number": number,
        "label": finding.label,
        "status": finding.status,
        "found": _FOUND[finding.status],
        "presence": float(finding.presence),
        "quality": float(finding.quality),
        "span": None if finding.span is None else [int(place) for place in finding.span],
        "mask_name": mask_stem(number, finding.label) if finding.mask.any() else None,
        "quantities": None if finding.quantities is None else _quantities(finding.quantities),
    }


def _quantities(found: Quantities) -> dict[str, Any]:
    return {name: value.item() if hasattr(value, "item") else value for name, value in asdict(found).items()}


def _volume(volume: Volume) -> dict[str, Any]:
    known = volume.spacing_known
    return {
        "modality": volume.modality,
        "unit": volume.unit,
        "body_part": volume.body_part,
        "space": volume.space,
        "spacing_known": known,
        "shape": list(volume.shape),
        "spacing_mm": [float(step) for step in volume.spacing_mm] if known else None,
        "voxel_ml": float(volume.voxel_ml) if known and volume.space == "patient" else None,
        "orientation": volume.orientation if volume.space == "patient" else None,
        "voxel_to_ras": [[float(value) for value in row] for row in volume.voxel_to_ras],
        "source_format": volume.source.format,
        "source_shape": list(volume.source.shape),
        "source_voxel_to_ras": [[float(value) for value in row] for row in volume.source.voxel_to_ras],
    }


def _provenance(provenance: Provenance, volume: Volume) -> dict[str, Any]:
    return {
        "segmenter": provenance.segmenter,
        "weights_sha256": provenance.weights_sha256,
        "input_sha256": provenance.input_sha256,
        "preprocessing": {
            name: without_file_names(text, volume.source) for name, text in sorted(provenance.preprocessing.items())
        },
        "thresholds": {name: float(value) for name, value in sorted(provenance.thresholds.items())},
        "versions": dict(sorted(provenance.versions.items())),
    }


def _finite(value: Any, place: str, lost: list[str]) -> Any:
    """The same tree with null for what is no finite number (its place goes to `lost`), and no half characters."""
    if isinstance(value, Mapping):
        return {_whole(key): _finite(held, f"{place}.{key}".lstrip("."), lost) for key, held in value.items()}
    if isinstance(value, list):
        return [_finite(held, f"{place}[{index}]", lost) for index, held in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        lost.append(place)
        return None
    return _whole(value) if isinstance(value, str) else value


def _whole(text: str) -> str:
    """Text that can be written: lone surrogates, halves of a character, become the replacement character."""
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
