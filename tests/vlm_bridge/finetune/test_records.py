"""Training records: read as they stand, and wrong ones named by file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from tests.vlm_bridge.finetune.colours import (
    COLOURS,
    QUESTION,
    answered,
    colour_conversations,
    picture,
    write_colour_records,
)
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.finetune.records import ConversationDataset, read_records
from vlm_bridge.prompts.conversation import ask


def line(*turns: dict, **rest: object) -> str:
    return json.dumps({"messages": list(turns), **rest}) + "\n"


def said(role: str, text: str, **rest: object) -> dict:
    return {"role": role, "text": text, **rest}


def written(folder: Path, *lines: str) -> Path:
    path = folder / "records.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_records_are_the_conversations_written(tmp_path: Path) -> None:
    dataset = ConversationDataset.from_files([write_colour_records(tmp_path)])
    assert len(dataset) == len(COLOURS)
    for number, colour in enumerate(COLOURS):
        user, assistant = dataset[number].messages
        assert (user.role, user.text, assistant.role, assistant.text) == ("user", QUESTION, "assistant", colour)
        assert user.images[0].getpixel((0, 0)) == COLOURS[colour]


def test_pictures_are_found_beside_the_file_whatever_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_colour_records(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert ConversationDataset.from_files([path.relative_to(tmp_path)])[0].images[0].size == (28, 28)


def test_system_turns_several_turns_notes_and_empty_lines_are_welcome(tmp_path: Path) -> None:
    turns = [said("system", "be brief"), said("user", "a"), said("assistant", "b"), said("user", "c")]
    path = written(tmp_path, "\n", line(*turns, said("assistant", "d"), id="case 1"), "\n")
    (record,) = read_records(path)
    assert [turn.text for turn in record.turns] == ["be brief", "a", "b", "c", "d"]
    assert record.place.endswith("line 2")


def test_line_separators_inside_texts_do_not_end_a_line(tmp_path: Path) -> None:
    text = "one\u2028two\x85three"  # str.splitlines would cut here
    path = written(tmp_path, json.dumps({"messages": [said("user", text), said("assistant", "b")]}, ensure_ascii=False))
    assert read_records(path)[0].turns[0].text == text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "list `messages`"),
        (line(), "list `messages`"),
        (line(said("user", "a")), "ends with an assistant"),
        (line(said("user", "a"), said("assistant", " \n")), "empty one"),
        (line(said("user", "a"), said("bot", "b")), "found 'bot'"),
        (line(said("assistant", "a")), "user and assistant in turn"),
        (line(said("user", "a"), said("user", "b"), said("assistant", "c")), "user and assistant in turn"),
        (line({"role": "user"}, said("assistant", "b")), "texts `role` and `text`"),
        (line(said("user", "a", image="a.png"), said("assistant", "b")), "found image as well"),
        (line(said("user", "a", images="a.png"), said("assistant", "b")), "list of paths"),
        (line(said("user", "a", images=["none.png"]), said("assistant", "b")), "none.png"),
        (line(said("user", "a", images=["text.png"]), said("assistant", "b")), "text.png"),
        (line(said("user", "a"), said("assistant", "b", images=["a.png"])), "pictures in a user's turn only"),
    ],
)
def test_wrong_records_are_named_by_line(tmp_path: Path, wrong: str, message: str) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    picture("red").save(tmp_path / "a.png")
    good = line(said("user", "a"), said("assistant", "b"))
    with pytest.raises(InvalidInputError, match=r"records\.jsonl, line 2: ") as caught:
        read_records(written(tmp_path, good, wrong.rstrip("\n") + "\n", good))
    assert message in str(caught.value)
    assert "1 wrong records" in str(caught.value)
    assert str(caught.value).count("records.jsonl, line") == 1


def test_many_wrong_records_are_counted_and_the_first_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="12 wrong records") as caught:
        read_records(written(tmp_path, *["{\n"] * 12))
    assert "line 10:" in str(caught.value)
    assert "line 11:" not in str(caught.value)
    assert "and 2 more" in str(caught.value)


def test_files_that_cannot_be_read_or_are_empty_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="Check the path"):
        read_records(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xe9")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        read_records(tmp_path / "latin.jsonl")
    with pytest.raises(InvalidInputError, match="at least one training record"):
        read_records(written(tmp_path, "\n"))


def test_pixels_are_read_late_and_broken_ones_named(tmp_path: Path) -> None:
    path = write_colour_records(tmp_path)
    noise = Image.effect_noise((64, 64), 50)
    noise.save(tmp_path / "green.png")
    whole = (tmp_path / "green.png").read_bytes()
    (tmp_path / "green.png").write_bytes(whole[: len(whole) // 2])  # the header still says how large it is
    dataset = ConversationDataset.from_files([path])
    assert dataset.picture_sizes(1) == ((64, 64),)
    assert dataset[0].images[0].size == (28, 28)
    with pytest.raises(InvalidInputError, match=r"line 2: .*whole picture at .*green\.png"):
        dataset[1]


def test_sizes_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    path = write_colour_records(tmp_path)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by a quarter
    Image.new("RGB", (40, 30)).save(tmp_path / "red.png", exif=exif)
    dataset = ConversationDataset.from_files([path])
    assert dataset.picture_sizes(0) == ((30, 40),)
    assert ConversationDataset([dataset[0]]).picture_sizes(0) == ((30, 40),)


def test_conversations_in_memory_are_checked_too() -> None:
    with pytest.raises(InvalidInputError, match=r"conversation 1: .*ends with an assistant"):
        ConversationDataset([answered("a", "b"), ask("c")])
    with pytest.raises(InvalidInputError, match=r"conversation 0: .*empty"):
        ConversationDataset([answered("a", "")])
    with pytest.raises(InvalidInputError, match="at least one"):
        ConversationDataset([])


def test_digest_tells_texts_and_pictures_apart(tmp_path: Path) -> None:
    path = write_colour_records(tmp_path)
    first = ConversationDataset.from_files([path]).sha256()
    assert ConversationDataset.from_files([path]).sha256() == first
    picture("blue").save(tmp_path / "red.png")
    assert ConversationDataset.from_files([path]).sha256() != first
    conversations = colour_conversations()
    in_memory = ConversationDataset(conversations).sha256()
    assert ConversationDataset(conversations[::-1]).sha256() != in_memory
    changed = [answered(QUESTION, "red", picture("blue")), *conversations[1:]]
    assert ConversationDataset(changed).sha256() != in_memory
