"""`read_records`: conversations to learn from, as JSON Lines; `ConversationDataset`: these, or others in memory.

A line is one conversation, `{"messages": [{"role": "user", "text": "...", "images": ["a.png"]}, {"role": "assistant",
"text": "..."}]}`. Paths of pictures are relative to the file. Other keys beside `messages` are notes of the caller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from PIL import ExifTags, Image, PngImagePlugin
from torch.utils.data import Dataset

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.prompts.conversation import Conversation, Message, Role

PROBLEMS_SHOWN = 10
"""At most so many wrong records are named in one error."""
_MESSAGE_KEYS = {"role", "text", "images"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTurn:
    """One turn of a record."""

    role: Role
    text: str
    images: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRecord:
    """A conversation on disk; its pictures are opened when it is learned from."""

    turns: tuple[RecordedTurn, ...]
    place: str
    """File and line, for messages."""

    def picture_sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each picture as it is seen upright, read without its pixels."""
        sizes = []
        for path in self._paths():
            with self._open(path) as image:
                sizes.append(_upright_size(image))
        return tuple(sizes)

    def without_pictures(self, stand_in: Image.Image) -> Conversation:
        """The conversation with `stand_in` in place of each picture."""
        return self._conversation({path: stand_in for path in self._paths()})

    def load(self) -> Conversation:
        """The conversation with its pictures.

        Raises:
            InvalidInputError: a picture is missing by now, or its pixels are broken.
        """
        return self._conversation({path: self._pixels(path) for path in self._paths()})

    def digest_parts(self) -> Iterator[bytes]:
        """What tells this record from another: turns, and the bytes of its pictures' files."""
        for turn in self.turns:
            yield json.dumps([turn.role, turn.text, len(turn.images)]).encode()
            for path in turn.images:
                yield hashlib.sha256(path.read_bytes()).digest()

    def _paths(self) -> list[Path]:
        return [path for turn in self.turns for path in turn.images]

    def _conversation(self, opened: dict[Path, Image.Image]) -> Conversation:
        return Conversation(
            messages=tuple(
                Message(role=turn.role, text=turn.text, images=tuple(opened[path] for path in turn.images))
                for turn in self.turns
            )
        )

    def _pixels(self, path: Path) -> Image.Image:
        image = self._open(path)
        try:
            image.load()
        except (OSError, ValueError, SyntaxError) as error:  # a broken PNG is a SyntaxError to Pillow
            raise InvalidInputError(
                f"{self.place}: expected a whole picture at {path}, found a broken one ({error}). Replace it."
            ) from error
        return image

    def _open(self, path: Path) -> Image.Image:
        try:
            return Image.open(path)
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                f"{self.place}: expected a picture at {path}, found none that can be read ({error}). Replace it."
            ) from error


def read_records(path: str | Path) -> tuple[ConversationRecord, ...]:
    """The conversations of a JSON Lines file, checked; empty lines are left out.

    Raises:
        InvalidInputError: the file is missing or empty, or records are wrong; the message names their lines.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # splitlines also splits at characters JSON may hold
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{file}: expected a file of training records (JSON Lines, UTF-8), found none that can be read "
            f"({error}). Check the path."
        ) from error
    records, problems = [], []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                records.append(_parse(line, file, number))
            except InvalidInputError as error:
                problems.append(str(error))
    if problems:
        shown = "\n".join(problems[:PROBLEMS_SHOWN])
        rest = f"\n... and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
        raise InvalidInputError(f"{file}: {len(problems)} wrong records.\n{shown}{rest}")
    if not records:
        raise InvalidInputError(f"{file}: expected at least one training record, found none. Add some.")
    return tuple(records)


class ConversationDataset(Dataset[Conversation]):
    """Conversations to learn from, by number; those on disk are opened when they are asked for."""

    def __init__(self, records: Sequence[ConversationRecord | Conversation]) -> None:
        """Conversations in memory are checked here, records when they were read.

        Raises:
            InvalidInputError: there is none, or one does not end with an answer, or an answer is empty.
        """
        if not records:
            raise InvalidInputError("Training records: expected at least one conversation, found none. Add some.")
        for number, record in enumerate(records):
            if isinstance(record, Conversation):
                _check_answers([(turn.role, turn.text) for turn in record.messages], f"conversation {number}")
        self.records = tuple(records)

    @classmethod
    def from_files(cls, paths: Sequence[str | Path]) -> ConversationDataset:
        """The records of several files, one after the other."""
        return cls([record for path in paths for record in read_records(path)])

    def __len__(self) -> int:
        """How many conversations there are."""
        return len(self.records)

    def __getitem__(self, number: int) -> Conversation:
        """One conversation with its pictures."""
        record = self.records[number]
        return record if isinstance(record, Conversation) else record.load()

    def select(self, numbers: Sequence[int]) -> ConversationDataset:
        """Some of them, in this order."""
        return ConversationDataset([self.records[number] for number in numbers])

    def picture_count(self, number: int) -> int:
        """Pictures of a conversation."""
        record = self.records[number]
        if isinstance(record, Conversation):
            return len(record.images)
        return sum(len(turn.images) for turn in record.turns)

    def picture_sizes(self, number: int) -> tuple[tuple[int, int], ...]:
        """Width and height of each picture of a conversation, read without its pixels where it is on disk."""
        record = self.records[number]
        if isinstance(record, Conversation):
            return tuple(_upright_size(image) for image in record.images)
        return record.picture_sizes()

    def without_pictures(self, number: int, stand_in: Image.Image) -> Conversation:
        """A conversation with `stand_in` in place of each picture."""
        record = self.records[number]
        if not isinstance(record, Conversation):
            return record.without_pictures(stand_in)
        return Conversation(
            messages=tuple(
                Message(role=turn.role, text=turn.text, images=(stand_in,) * len(turn.images))
                for turn in record.messages
            )
        )

    def answers(self) -> Iterator[str]:
        """Every text of an assistant."""
        for record in self.records:
            turns = record.messages if isinstance(record, Conversation) else record.turns
            yield from (turn.text for turn in turns if turn.role == "assistant")

    def place(self, number: int) -> str:
        """How to name a conversation in a message."""
        record = self.records[number]
        return f"conversation {number}" if isinstance(record, Conversation) else record.place

    def sha256(self) -> str:
        """Digest of all turns and pictures, in order."""
        digest = hashlib.sha256()
        for record in self.records:
            parts = _memory_parts(record) if isinstance(record, Conversation) else record.digest_parts()
            for part in parts:
                digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()


def _upright_size(image: Image.Image) -> tuple[int, int]:
    # Pillow decodes all of a PNG to see whether EXIF data come after its pixels; they hardly ever do.
    unread = isinstance(image, PngImagePlugin.PngImageFile) and "exif" not in image.info
    turned = not unread and image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # a quarter to one side
    return (image.height, image.width) if turned else (image.width, image.height)


def _memory_parts(conversation: Conversation) -> Iterator[bytes]:
    for turn in conversation.messages:
        yield json.dumps([turn.role, turn.text, len(turn.images)]).encode()
        for image in turn.images:
            yield f"{image.mode} {image.size}".encode() + image.tobytes()


def _parse(line: str, file: Path, number: int) -> ConversationRecord:
    place = f"{file}, line {number}"
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InvalidInputError(f"{place}: expected JSON, found {line[:40]!r} ({error}). Repair the line.") from error
    messages = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(messages, list) or not messages:
        raise InvalidInputError(f"{place}: expected an object with a list `messages`, found {line[:60]!r}. Add it.")
    turns = tuple(_parse_turn(turn, file.parent, place) for turn in messages)
    record = ConversationRecord(turns=turns, place=place)
    try:
        record.without_pictures(Image.new("RGB", (1, 1)))  # roles and their order are checked there
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error}") from error
    _check_answers([(turn.role, turn.text) for turn in turns], place)
    record.picture_sizes()
    return record


def _parse_turn(turn: Any, folder: Path, place: str) -> RecordedTurn:
    if not isinstance(turn, dict) or not isinstance(turn.get("role"), str) or not isinstance(turn.get("text"), str):
        raise InvalidInputError(f"{place}: expected messages with texts `role` and `text`, found {turn!r}. Add them.")
    if unknown := sorted(turn.keys() - _MESSAGE_KEYS):
        raise InvalidInputError(
            f"{place}: expected a message of {', '.join(sorted(_MESSAGE_KEYS))}, found {', '.join(unknown)} as well. "
            "Correct the names or remove them."
        )
    if turn["role"] not in get_args(Role):
        raise InvalidInputError(
            f"{place}: expected role {', '.join(get_args(Role))}, found {turn['role']!r}. Correct it."
        )
    images = turn.get("images", [])
    if not isinstance(images, list) or not all(isinstance(name, str) and name for name in images):
        raise InvalidInputError(f"{place}: expected `images` to be a list of paths, found {images!r}. Correct it.")
    return RecordedTurn(role=turn["role"], text=turn["text"], images=tuple(folder / name for name in images))


def _check_answers(turns: Sequence[tuple[str, str]], place: str) -> None:
    if turns[-1][0] != "assistant":
        raise InvalidInputError(
            f"{place}: expected a conversation that ends with an assistant's answer, found {turns[-1][0]!r} last. "
            "Add the answer to learn."
        )
    if any(role == "assistant" and not text.strip() for role, text in turns):
        raise InvalidInputError(f"{place}: expected answers with text, found an empty one. Fill or remove it.")
