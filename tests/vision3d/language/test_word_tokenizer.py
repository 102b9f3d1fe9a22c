"""Whole words as numbers: rows worked by hand, and what holds for any text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.language.word_tokenizer import PAD, START, UNKNOWN, WordTokenizer, read_vocabulary, split_words

WORDS = ("red", "mug", "box", "berry", "glasses", "shelf", "7")
TOKENIZER = WordTokenizer(WORDS, context_length=8)
END = 3 + len(WORDS)
texts = st.text(alphabet=st.sampled_from("abemrdxs yz7-'.,éß  "), max_size=60)
phrases = st.lists(st.sampled_from([*WORDS, "zebra", "the", "a"]), max_size=6).map(" ".join)


def test_rows_worked_by_hand():
    rows = TOKENIZER(["A RED mug, on the shelf!", "7 boxes", "berries"]).tolist()
    # start, red, mug, on = unknown, shelf, end, padding
    assert rows[0] == [1, 3, 4, 2, 8, END, 0, 0]
    assert rows[1] == [1, 9, 5, END, 0, 0, 0, 0]
    assert rows[2] == [1, 6, END, 0, 0, 0, 0, 0]


def test_a_word_of_the_vocabulary_is_not_taken_for_a_plural():
    # `glasses` is known as such; `glass` is not.
    assert TOKENIZER(["glasses"])[0, 1] == 7
    assert TOKENIZER.unknown_words("glass") == ("glass",)


def test_plurals_in_ies_and_ves():
    tokenizer = WordTokenizer(("cookie", "berry", "glove", "shelf", "knife"), context_length=8)
    assert tokenizer(["cookies berries gloves shelves knives"]).tolist() == [[1, 3, 4, 5, 6, 7, 8, 0]]


def test_words_beyond_the_context_are_cut_and_the_end_stays():
    assert TOKENIZER(["mug " * 20]).tolist() == [[1, 4, 4, 4, 4, 4, 4, END]]


@given(st.lists(texts | phrases, max_size=4))
def test_every_row_starts_ends_and_is_padded(some: list[str]):
    rows = TOKENIZER(some)
    assert rows.shape == (len(some), 8)
    for row in rows.tolist():
        end = row.index(END)
        assert row[0] == START
        assert max(row) == END < TOKENIZER.vocabulary_size
        assert row.count(END) == 1
        assert set(row[end + 1 :]) <= {PAD}
        assert PAD not in row[:end]


@given(st.lists(phrases, min_size=1, max_size=4))
def test_a_batch_equals_one_by_one(some: list[str]):
    assert TOKENIZER(some).tolist() == [TOKENIZER([text]).tolist()[0] for text in some]


@given(phrases)
def test_case_articles_and_punctuation_say_nothing(text: str):
    shouted = "The " + text.upper().replace(" ", " , ") + "!"
    assert TOKENIZER([shouted]).tolist() == TOKENIZER([text]).tolist()


@given(st.lists(st.sampled_from(["red", "mug", "box", "shelf"]), min_size=1, max_size=5), st.sampled_from(["s", "es"]))
def test_plurals_are_their_singulars(words: list[str], ending: str):
    assert TOKENIZER([" ".join(word + ending for word in words)]).tolist() == TOKENIZER([" ".join(words)]).tolist()


@given(phrases.filter(split_words))
def test_unknown_words_are_the_ones_numbered_so(text: str):
    unknown = TOKENIZER.unknown_words(text)
    assert TOKENIZER([text]).tolist()[0].count(UNKNOWN) == len(unknown)
    assert set(unknown) <= {"zebra"}


@pytest.mark.parametrize("text", ["the", "...", "", " - "])
def test_a_text_that_says_nothing_is_unknown_as_a_whole(text: str):
    assert TOKENIZER.unknown_words(text) == (text,)


def test_words_of_other_scripts_are_unknown_words_and_not_dropped():
    assert TOKENIZER.unknown_words("красная mug, café") == ("красная", "café")
    assert TOKENIZER(["杯子"]).tolist()[0][:3] == [START, UNKNOWN, END]


def test_a_context_without_room_for_a_word_is_refused():
    with pytest.raises(InvalidInputError, match=r"at least 3 .* found 2"):
        WordTokenizer(WORDS, context_length=2)


def test_a_vocabulary_is_read_in_its_order(tmp_path: Path):
    (tmp_path / "vocabulary.json").write_text(json.dumps(WORDS), encoding="utf-8")
    assert read_vocabulary(tmp_path / "vocabulary.json") == WORDS


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('["red", ', "unreadable"),
        ('{"red": 3}', "list of words"),
        ('["red", 7]', "list of words"),
        ('["red", "mug", "red"]', "['red']"),
        ('["Red"]', "['Red']"),
        ('["desk lamp"]', "['desk lamp']"),
        ('["the"]', "['the']"),
        ('[""]', "['']"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tmp_path: Path, content: str, named: str):
    path = tmp_path / "vocabulary.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelFileError) as caught:
        read_vocabulary(path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_vocabulary_is_refused(tmp_path: Path):
    with pytest.raises(ModelFileError, match=r"none\.json"):
        read_vocabulary(tmp_path / "none.json")
