"""The record of a run: every value keeps its meaning as JSON, and differences are named."""

from __future__ import annotations

import enum
import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.runs import run_record
from vlm_bridge.runs.run_record import describe_inputs, differing_fields, package_versions, to_json_value


class Start(enum.Enum):
    POINTS = 1
    RANDOM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    means: float = 1.6e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    start: Start = Start.POINTS
    folder: Path = Path("out")
    size: tuple[int, int] = (2, 3)
    rates: Rates = field(default_factory=Rates)
    limit: int | None = None


def test_dataclass_becomes_plain_json() -> None:
    value = to_json_value(Config())
    expected = {"start": "POINTS", "folder": "out", "size": [2, 3], "rates": {"means": 1.6e-4}, "limit": None}
    assert value == expected
    assert json.loads(json.dumps(value)) == expected


def test_value_without_json_form_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"config\.rates\[1\].*set"):
        to_json_value({"rates": [1, {2}]})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_json)
def test_json_is_kept_as_it_is(value: object) -> None:
    assert to_json_value(value) == value
    assert json.loads(json.dumps(to_json_value(value))) == value


@given(st.dictionaries(st.text(), _json))
def test_nothing_differs_from_itself(value: dict) -> None:
    assert differing_fields(value, value) == []


def test_every_difference_is_named_with_both_values() -> None:
    stored = {"steps": 10, "rates": {"means": 1.0, "sh": 2.0}}
    asked = {"steps": 10, "rates": {"means": 3.0, "sh": 2.0}, "new": 1}
    assert differing_fields(stored, asked) == [
        "new (stored 'nothing', asked for 1)",
        "rates.means (stored 1.0, asked for 3.0)",
    ]


def test_versions_name_python_and_what_is_installed() -> None:
    versions = package_versions()
    assert versions["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert versions["torch"].startswith(__import__("torch").__version__.split("+")[0])


def test_inputs_are_described_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "inner").mkdir(parents=True)
        (tmp_path / folder / "inner" / "a").write_bytes(b"abc")
    facts = describe_inputs([tmp_path / "one" / "inner" / "a", tmp_path / "one", tmp_path / "two"])
    file, one, two = facts.values()
    assert file == {"files": 1, "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    assert one == two
    (tmp_path / "two" / "inner" / "a").rename(tmp_path / "two" / "inner" / "b")
    assert describe_inputs([tmp_path / "two"])[str(tmp_path / "two")] != one
    monkeypatch.setattr(run_record, "HASHED_BYTES_MAX", 2)
    assert describe_inputs([tmp_path / "one"])[str(tmp_path / "one")] == {"files": 1, "bytes": 3}


def test_missing_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nowhere"):
        describe_inputs([tmp_path / "nowhere"])
