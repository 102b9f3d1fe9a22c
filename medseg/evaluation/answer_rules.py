"""What an answer claims in words, by fixed rules of English: which sides, and whether it denies.

Rules see words and no grammar; they are for checking short answers against references, not for reading reports.
"""

from __future__ import annotations

import re
import unicodedata

from medseg.grounding.seg_tokens import plain_answer

_NOT_A_SIDE = r"right (?:away|now|here|there|answer)|all right|(?<!\w)right,|is left (?:of it|over)"
_SIDES = {"left": r"\bleft(?:-sided)?\b", "right": r"\bright(?:-sided)?\b"}
_BOTH = r"\bbilateral(?:ly)?\b|\bboth (?:sides|lungs|kidneys|eyes|breasts)\b|\b(?:either|each) side\b"
_DENIAL = re.compile(
    r"\b(?:no|not|none|never|neither|nor|nothing|without|absent|cannot|unable|absence|lacks?|fail(?:ed)?|invisible)\b|n't\b",
    re.IGNORECASE,
)


def words_of(text: str) -> str:
    """The answer in words, without its marks for phrases and masks.

    Example:
        >>> words_of("Here are the <p>lungs</p> [SEG].")
        'Here are the lungs.'
    """
    return plain_answer(text)[0]


def sides_said(text: str) -> frozenset[str]:
    """The sides that a text names, of `left` and `right`.

    Example:
        >>> sorted(sides_said("Effusion on both sides.")), sorted(sides_said("The right kidney, marked right here."))
        (['left', 'right'], ['right'])
    """
    bare = re.sub(_NOT_A_SIDE, " ", words_of(text), flags=re.IGNORECASE)
    if re.search(_BOTH, bare, re.IGNORECASE):
        return frozenset(_SIDES)
    return frozenset(side for side, pattern in _SIDES.items() if re.search(pattern, bare, re.IGNORECASE))


def denies(text: str) -> bool:
    """Whether a text denies anything.

    Example:
        >>> denies("I do not see the spleen."), denies("I marked the spleen.")
        (True, False)
    """
    return _DENIAL.search(words_of(text).replace("\u2019", "'")) is not None


def same_answer(one: str, other: str) -> bool:
    """Whether two answers are the same but for case, marks, punctuation and spaces.

    Example:
        >>> same_answer("Yes.", "yes"), same_answer("yes", "no")
        (True, False)
    """
    return _bare(one) == _bare(other)


def _bare(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", words_of(text)).casefold())
