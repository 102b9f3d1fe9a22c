"""Every implicit description with its id, by structure and kind, and what would give a structure's name away."""

from __future__ import annotations

import re
from typing import Literal

from medseg.training.question_writer.structure import Structure, head_word
from medseg.training.question_writer.structures import ASKED_IN_VAIN, STRUCTURES
from medseg.training.question_writer.wordings import Wording, worded

ImplicitKind = Literal["implicit_anatomical", "implicit_pathological"]
_GENERAL = frozenset({"left", "right", "front", "back", "anterior", "posterior", "upper", "lower", "gland", "bone"})
"""Main words of names that name nothing by themselves, as in `thyroid gland`."""


def _of(one: Structure, wordings: tuple[Wording, ...]) -> dict[ImplicitKind, tuple[Wording, ...]]:
    texts = {text.text for text in one.anatomical}
    return {
        "implicit_anatomical": tuple(wording for wording in wordings if wording.text in texts),
        "implicit_pathological": tuple(wording for wording in wordings if wording.text not in texts),
    }


def _texts(one: Structure) -> list[str]:
    return [text.text for text in (*one.anatomical, *one.pathological)]


_IN_VAIN = worded("in_vain", [text for one in ASKED_IN_VAIN.values() for text in _texts(one)])
DESCRIPTIONS: dict[str, dict[ImplicitKind, tuple[Wording, ...]]] = {
    **{name: _of(one, worded(name.replace(" ", "_"), _texts(one))) for name, one in STRUCTURES.items()},
    **{
        name: _of(one, tuple(wording for wording in _IN_VAIN if wording.text in _texts(one)))
        for name, one in ASKED_IN_VAIN.items()
    },
}
"""Structure -> kind -> its descriptions. Of each structure a fifth, at least one, is held out; of those that are only
asked for in vain, a fifth of all."""
RIVALS: dict[str, tuple[str, ...]] = {
    text.text: text.rivals for one in STRUCTURES.values() for text in (*one.anatomical, *one.pathological)
}
"""Description -> other structures that it fits."""


def gives_away(text: str, one: Structure) -> str | None:
    """The word of a text that names the structure, or None.

    Example:
        >>> gives_away("Which organ has a hepatic duct?", STRUCTURES["liver"])
        'hepatic'
    """
    plain = " ".join(re.findall(r"[a-z0-9']+", text.lower()))
    for name in (one.name, *one.synonyms):
        named = " ".join(re.findall(r"[a-z0-9']+", name.lower()))
        if _holds(plain, named):
            return name
        head = head_word(name)
        if head not in _GENERAL and _holds(plain, head):
            return head
    return next((word for word in one.adjectives if _holds(plain, word)), None)


def _holds(text: str, words: str) -> bool:
    singular = words[:-1] if words.endswith("s") and len(words) > 4 else words
    return re.search(rf"\b{re.escape(singular)}(s|es)?\b", text) is not None
