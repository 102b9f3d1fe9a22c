"""`WordTokenizer`: whole words of a closed vocabulary as numbers, for text towers that were trained on few words.

Numbers: 0 pads, 1 starts, 2 stands for any unknown word, then the words, and the last one ends the text (open_clip
reads the text's vector off the place with the highest number).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from vision3d.errors import InvalidInputError, ModelFileError

PAD, START, UNKNOWN, FIRST_WORD = 0, 1, 2, 3
_WORD = re.compile(r"[^\W_]+")
_SILENT = frozenset({"a", "an", "the"})
"""Words that carry no meaning of their own and are left out."""


class WordTokenizer:
    """Texts to rows of numbers of one length.

    Example:
        >>> tokenizer = WordTokenizer(("red", "mug"), context_length=6)
        >>> tokenizer(["The red mugs!", "a red zebra"]).tolist()
        [[1, 3, 4, 5, 0, 0], [1, 3, 2, 5, 0, 0]]
        >>> tokenizer.unknown_words("a red zebra")
        ('zebra',)
    """

    def __init__(self, words: Sequence[str], *, context_length: int) -> None:
        if context_length < 3:
            raise InvalidInputError(
                f"WordTokenizer: expected a context of at least 3 (start, one word, end), found {context_length}. "
                "Raise it."
            )
        self.words = tuple(words)
        self.context_length = context_length
        self._number = {word: FIRST_WORD + place for place, word in enumerate(self.words)}
        self._end = FIRST_WORD + len(self.words)

    @property
    def vocabulary_size(self) -> int:
        """How many numbers there are."""
        return self._end + 1

    def __call__(self, texts: Iterable[str]) -> Int[Tensor, "text token"]:
        """Rows of numbers; words beyond the context are cut, the end mark is kept."""
        rows = []
        for text in texts:
            inside = [self._word_number(word) for word in split_words(text)][: self.context_length - 2]
            row = [START, *inside, self._end]
            rows.append(row + [PAD] * (self.context_length - len(row)))
        return torch.tensor(rows, dtype=torch.long).reshape(-1, self.context_length)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """The words of `text` that the vocabulary lacks, in order; all of `text` where no word says anything.

        Example:
            >>> WordTokenizer(("mug",), context_length=6).unknown_words("The ...!")
            ('The ...!',)
        """
        words = split_words(text)
        if not words:
            return (text,)
        return tuple(word for word in words if self._word_number(word) == UNKNOWN)

    def _word_number(self, word: str) -> int:
        for form in (word, *_singulars(word)):
            if form in self._number:
                return self._number[form]
        return UNKNOWN


def split_words(text: str) -> list[str]:
    """Lower-case words of a text without punctuation and articles.

    Example:
        >>> split_words("A twin-bell clock, the RED one")
        ['twin', 'bell', 'clock', 'red', 'one']
    """
    return [word for word in _WORD.findall(text.lower()) if word not in _SILENT]


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """The words of a vocabulary file: a JSON list of distinct words as `split_words` gives them.

    Raises:
        ModelFileError: the file is missing or is no such list.
    """
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{path}: expected a vocabulary (JSON list of words), found an unreadable file ({error}). Restore it."
        ) from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ModelFileError(f"{path}: expected a JSON list of words, found something else. Restore the file.")
    wrong = [word for place, word in enumerate(words) if split_words(word) != [word] or word in words[:place]]
    if wrong:
        raise ModelFileError(
            f"{path}: expected distinct lower-case words without punctuation and articles, found {wrong[:5]}. "
            "Restore the file."
        )
    return tuple(words)


def _singulars(word: str) -> tuple[str, ...]:
    if word.endswith("ies"):
        return word[:-1], word[:-3] + "y"
    if word.endswith("ves"):
        return word[:-1], word[:-3] + "f", word[:-3] + "fe"
    if word.endswith("es"):
        return word[:-1], word[:-2]
    return (word[:-1],) if word.endswith("s") else ()
