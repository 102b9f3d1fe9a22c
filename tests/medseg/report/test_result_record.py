"""JSON keeps to its schema, to the result, and to itself: equal results give equal bytes, and no name gets in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.report.result_record import SCHEMA_VERSION, result_schema, result_to_json, write_result_json
from medseg.study.result import RESEARCH_USE
from medseg.study.source_geometry import SourceFile
from tests.medseg.report.made_results import box, ct, finding, picture, provenance, result, two_found_one_not


def checked(text: str) -> dict:
    """The record, once its schema has accepted it; NaN and Infinity are refused."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    record = json.loads(text, parse_constant=refuse)
    jsonschema.Draft202012Validator(result_schema()).validate(record)
    return record


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(result_schema())
    assert result_schema()["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_a_record_says_what_the_result_says() -> None:
    asked = two_found_one_not()
    record = checked(result_to_json(asked))
    assert record["notice"] == RESEARCH_USE
    assert (record["question"], record["answer"]) == (asked.question, asked.text)
    kidney, cyst, stone = record["findings"]
    assert [one["found"] for one in record["findings"]] == [True, None, False]
    assert [one["mask_name"] for one in record["findings"]] == ["01_left_kidney", "02_cyst", None]
    assert record["answer"][slice(*cyst["span"])] == "cyst"
    # 6 x 6 x 3 voxels of 2 x 2 x 6 mm.
    assert kidney["quantities"]["volume_ml"] == pytest.approx(108 * 24 / 1000)
    assert kidney["quantities"]["area_mm2"] == pytest.approx(144)
    assert stone["quantities"] is None
    assert record["volume"]["spacing_mm"] == [2, 2, 6]
    assert record["volume"]["orientation"] == "RAS"
    assert record["provenance"]["weights_sha256"] == "ab" * 32


def test_the_schema_refuses_a_mask_of_what_is_not_there() -> None:
    record = json.loads(result_to_json(two_found_one_not()))
    record["findings"][2]["mask_name"] = "03_stone"
    with pytest.raises(jsonschema.ValidationError, match="None was expected"):
        jsonschema.validate(record, result_schema())
    record["findings"][2]["mask_name"] = None
    record["findings"][2]["found"] = True
    with pytest.raises(jsonschema.ValidationError, match="False was expected"):
        jsonschema.validate(record, result_schema())


def test_pictures_have_no_millimetres() -> None:
    volume = picture()
    spot = finding(volume, "spot", box(volume, (5, 15), (10, 20), (0, 1)))
    record = checked(result_to_json(result(volume, [spot])))
    assert record["volume"]["spacing_mm"] is None
    assert record["volume"]["orientation"] is None
    measured = record["findings"][0]["quantities"]
    assert (measured["volume_ml"], measured["area_mm2"], measured["area_pixels"]) == (None, None, 100)


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    one, other = two_found_one_not(), two_found_one_not()
    # The order in which a program filled its mappings is not part of the result.
    turned = provenance(thresholds={"b": 1.0, "a": 0.5}), provenance(thresholds={"a": 0.5, "b": 1.0})
    write_result_json(tmp_path / "one.json", replace(one, provenance=turned[0]))
    write_result_json(tmp_path / "other.json", replace(other, provenance=turned[1]))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    with pytest.raises(InvalidInputError, match=r"in \.json"):
        write_result_json(tmp_path / "one.txt", one)


def test_numbers_that_are_not_finite_are_null_and_said() -> None:
    asked = two_found_one_not()
    measured = asked.findings[0].quantities
    assert measured is not None
    broken = replace(measured, intensity_mean=float("nan"), intensity_max=float(np.float32("inf")))
    record = checked(result_to_json(replace(asked, findings=(replace(asked.findings[0], quantities=broken),))))
    assert record["findings"][0]["quantities"]["intensity_mean"] is None
    assert record["findings"][0]["quantities"]["intensity_max"] is None
    assert record["warnings"] == [
        "findings[0].quantities.intensity_mean is not a finite number and was left empty.",
        "findings[0].quantities.intensity_max is not a finite number and was left empty.",
    ]


def test_no_file_name_gets_in() -> None:
    volume = ct()
    files = (
        SourceFile(path=Path("/data/Mustermann_Erika/Mustermann_CT.nii.gz")),
        SourceFile(path=Path("/data/all.zip"), member="Musterfrau/Musterfrau_1.dcm"),
    )
    volume = replace(volume, source=replace(volume.source, files=files))
    warnings = (
        "/data/Mustermann_Erika/Mustermann_CT.nii.gz: values were clipped.",
        "Mustermann_CT.nii.gz and Musterfrau_1.dcm: assumed to be CT.",
    )
    asked = result(volume, [], warnings=warnings)
    asked = replace(asked, provenance=provenance(preprocessing={"read": "Musterfrau/Musterfrau_1.dcm"}))
    text = result_to_json(asked)
    assert "Muster" not in text
    assert "/data" not in text
    assert checked(text)["warnings"][1] == "[file] and [file]: assumed to be CT."


def test_a_mask_that_contradicts_its_status_is_said() -> None:
    volume = ct()
    empty = replace(finding(volume, "a", box(volume, (1, 2), (1, 2), (1, 2))), mask=np.zeros(volume.shape, dtype=bool))
    record = checked(result_to_json(result(volume, [replace(empty, quantities=None)])))
    assert record["warnings"] == ["Finding 1 is said to be found, but its mask is empty."]
    assert record["findings"][0]["mask_name"] is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(st.text(st.characters(), max_size=20), min_size=4, max_size=4),
    threshold=st.floats(),
    step=st.floats(1e-3, 1e3),
)
def test_every_result_has_a_valid_record(texts: list[str], threshold: float, step: float) -> None:
    volume = ct((6, 5, 4), (step, 1.0, 2.0))
    found = [finding(volume, texts[0], box(volume, (1, 3), (1, 3), (1, 2))), finding(volume, texts[1])]
    asked = result(volume, found, question=texts[2], text=texts[3])
    asked = replace(asked, provenance=provenance(thresholds={texts[0]: threshold}))
    record = checked(result_to_json(asked).encode("utf-8").decode("utf-8"))
    assert record["question"].encode("utf-16", "surrogatepass") or not texts[2]
    assert len(record["answer"]) == len(texts[3]), "spans stay true"
