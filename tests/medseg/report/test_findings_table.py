"""CSV that every reader reads alike, and no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.report.findings_table import COLUMNS, harmless_cell, result_to_csv, write_findings_csv
from medseg.study.result import RESEARCH_USE
from tests.medseg.report.made_results import box, ct, finding, result, two_found_one_not


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_one_row_per_finding_with_units_in_the_header() -> None:
    rows = rows_of(result_to_csv(two_found_one_not()))
    assert [row["label"] for row in rows] == ["left kidney", "cyst", "stone"]
    assert [row["found"] for row in rows] == ["true", "", "false"]
    assert float(rows[0]["volume_ml"]) == pytest.approx(2.592)
    assert rows[0]["intensity_unit"] == "HU"
    assert rows[0]["touches_border"] == "false"
    assert (rows[2]["volume_ml"], rows[2]["mask_name"]) == ("", "")
    assert {row["notice"] for row in rows} == {RESEARCH_USE}
    assert {"long_axis_mm", "area_mm2", "area_pixels"} <= set(rows[0])


def test_lines_end_as_the_standard_says() -> None:
    text = result_to_csv(two_found_one_not())
    assert text.endswith("\r\n")
    assert text.count("\r\n") == text.count("\n") == 4
    assert result_to_csv(result(ct(), [])) == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize(
    "attack",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "%0A=1", "|calc", "a;=1", "a\n=1", "a\t@b"],
)
def test_formulas_are_taken_as_text(attack: str) -> None:
    volume = ct()
    found = [finding(volume, attack, box(volume, (1, 2), (1, 2), (1, 2)))]
    (row,) = rows_of(result_to_csv(result(volume, found, question=attack)))
    for cell in (row["label"], row["question"]):
        assert cell.replace("'", "") == attack
        for part in cell.replace("\t", ";").replace("\n", ";").replace("\r", ";").split(";"):
            assert part.strip()[:1] not in set("=+-@%|＝＋－＠")


def test_plain_words_and_our_numbers_stay() -> None:
    assert harmless_cell("T2-weighted, 50% = half") == "T2-weighted, 50% = half"
    volume = ct()
    mask = box(volume, (1, 2), (1, 2), (1, 2))
    below = ct()
    below = type(below)(
        voxels=below.voxels - 40,
        voxel_to_ras=below.voxel_to_ras,
        modality="CT",
        unit="HU",
        source=below.source,
    )
    (row,) = rows_of(result_to_csv(result(below, [finding(below, "a", mask)])))
    assert float(row["intensity_mean"]) == -40


@settings(max_examples=40)
@given(label=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_every_text_comes_back(label: str) -> None:
    volume = ct((4, 4, 4))
    (row,) = rows_of(result_to_csv(result(volume, [finding(volume, label)])))
    assert row["label"] == harmless_cell(label)
    assert len(row) == len(COLUMNS)


def test_the_name_must_end_in_csv(tmp_path: Path) -> None:
    write_findings_csv(tmp_path / "a.csv", two_found_one_not())
    assert (tmp_path / "a.csv").read_bytes() == result_to_csv(two_found_one_not()).encode()
    with pytest.raises(InvalidInputError, match=r"in \.csv"):
        write_findings_csv(tmp_path / "a.txt", two_found_one_not())
