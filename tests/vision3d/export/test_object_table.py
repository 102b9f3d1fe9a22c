"""The table of objects: every column against the scene it was made of."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from tests.vision3d.export.ball_laga import HALVES, WHOLE, make_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.errors import InvalidInputError
from vision3d.export.edit_history import start_editing
from vision3d.export.edits import Remove
from vision3d.export.object_table import ObjectWords, object_table, table_content, table_csv, vocabulary_of

WORDS = ObjectWords(words=("green", "red", "dim", "blue"), encoder=ColourWords(), shown=2)


@pytest.fixture(scope="module")
def made():
    return make_ball_laga(4)


@pytest.fixture(scope="module")
def rows(made):
    return object_table(made.laga, words=WORDS, cameras=made.balls.cameras)


def test_every_object_has_a_row(rows, made) -> None:
    assert [row.object for row in rows] == list(range(made.laga.object_count))
    assert [row.level for row in rows] == ["s"] * WHOLE + ["m"] * 5
    assert sum(row.gaussians for row in rows if row.level == "m") == len(made.truth)
    assert [row.gaussians for row in rows][WHOLE:] == [160] * 4 + [400]


def test_the_best_words_come_first(rows) -> None:
    best = [row.words[0][0] for row in rows]
    assert best[WHOLE:] == ["red", "green", "green", "green", "blue"]
    assert best[HALVES] == "blue"
    assert all(len(row.words) == 2 and row.words[0][1] > row.words[1][1] for row in rows)


def test_volume_and_place_are_those_of_a_ball(rows) -> None:
    ball = rows[WHOLE + 1].shape
    # the hull of 160 points on a ball of radius 0.35 fills most of it
    assert 0.8 * 0.1796 < ball.volume < 0.1796
    assert ball.centroid.tolist() == pytest.approx([1.1, 0.2, 0.35], abs=0.05)


def test_views_are_counted_where_cameras_are_given(rows, made) -> None:
    assert [row.views for row in rows][WHOLE:] == [4] * 5
    assert all(row.views is None for row in object_table(made.laga))


def test_without_words_there_are_none_and_without_gaussians_no_row(made) -> None:
    history = start_editing(made.laga.scene).apply(Remove(chosen=made.truth == 0))
    emptied = replace(
        made.laga, scene=history.now.scene, gaussian_object=made.laga.gaussian_object[:, history.now.source]
    )
    rows = object_table(emptied)
    assert {row.object for row in rows} == set(range(made.laga.object_count)) - {0, 1, WHOLE}
    assert all(row.words == () for row in rows)


def test_another_encoder_is_refused(made) -> None:
    other = ObjectWords(words=("red",), encoder=ColourWords("colour words 2"))
    with pytest.raises(InvalidInputError, match="colour words 2"):
        object_table(made.laga, words=other)


def test_csv_and_json_say_the_same(rows) -> None:
    lines = list(csv.DictReader(io.StringIO(table_csv(rows))))
    content = json.loads(json.dumps(table_content(rows)))
    assert len(lines) == len(content) == len(rows)
    for line, record in zip(lines, content, strict=True):
        assert int(line["object"]) == record["object"]
        assert float(line["volume"]) == pytest.approx(record["volume"], rel=1e-4)
        assert float(line["maximum_z"]) == pytest.approx(record["box"]["maximum"][2], rel=1e-4, abs=1e-6)
        assert line["words"].startswith(record["words"][0]["word"])


def test_the_embedded_encoder_brings_its_words_and_others_none() -> None:
    assert {"teapot", "red", "mug"} <= set(vocabulary_of("embedded"))
    assert not {"of", "with", "something"} & set(vocabulary_of("embedded"))
    assert vocabulary_of("ViT-B-16/laion2b_s34b_b88k") == ()
