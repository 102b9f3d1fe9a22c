"""Names of structures compared as words: case, articles and a plural `s` do not matter; synonyms of the table count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from medseg.training.question_writer.structures import STRUCTURES, related

_SILENT = frozenset({"the", "a", "an", "this", "that", "these", "those", "all", "of", "both", "its", "and"})
_WORD = re.compile(r"[^\W_]+")


def name_words(name: str) -> tuple[str, ...]:
    """The words of a name that tell it from others, in order.

    Example:
        >>> name_words("The Left Lungs")
        ('left', 'lung')
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", name).casefold())
    return tuple(_singular(word) for word in words if word not in _SILENT)


def _singular(word: str) -> str:
    """Without the `s` of many; words such as `pelvis`, `abscess` and `corpus` keep theirs."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "is", "us")) else word


def same_structure(one: str, other: str) -> bool:
    """Whether two names are the same words, in any order, or names of one structure of the question writer's table.

    Example:
        >>> same_structure("lung, left", "the left lung"), same_structure("left lung", "right lung")
        (True, False)
        >>> same_structure("myocardium", "heart muscle")
        True
    """
    ours, theirs = sorted(name_words(one)), sorted(name_words(other))
    return ours == theirs or _STRUCTURE_OF.get(tuple(ours), one) == _STRUCTURE_OF.get(tuple(theirs), other)


def known_structure(name: str, known: Iterable[str]) -> bool:
    """Whether a name is one of those that are known, a part of one, or a whole that one is part of.

    Example:
        >>> known_structure("lungs", ["left lung"]), known_structure("spleen", ["left lung"])
        (True, False)
    """
    here = _STRUCTURE_OF.get(tuple(sorted(name_words(name))), name)
    return any(same_structure(other, one) for one in known for other in related(here))


def name_similarity(one: str, other: str) -> float:
    """Shared words over all words of two names, 0-1.

    Example:
        >>> name_similarity("left lung", "lung")
        0.5
    """
    ours, theirs = set(name_words(one)), set(name_words(other))
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0


def names_found(said: Iterable[str], expected: Iterable[str]) -> int:
    """How many of the expected names are said, each said one used once.

    Example:
        >>> names_found(["lung", "liver"], ["lungs", "lungs", "heart"])
        1
    """
    left = list(said)
    count = 0
    for name in expected:
        hit = next((place for place, one in enumerate(left) if same_structure(one, name)), None)
        if hit is not None:
            left.pop(hit)
            count += 1
    return count


_STRUCTURE_OF: dict[tuple[str, ...], str] = {
    tuple(sorted(name_words(word))): one.name
    for names in (lambda one: one.synonyms, lambda one: (one.name,))
    for one in reversed(STRUCTURES.values())
    for word in names(one)
}
"""Sorted words of each name and synonym -> the structure; a name goes before a synonym of another one."""
