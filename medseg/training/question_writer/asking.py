"""Filling templates: names and synonyms, drawn wordings, and the loose way in which people write."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.training.question_writer.answers import one_of
from medseg.training.question_writer.structure import Structure, verb, with_article
from medseg.training.question_writer.wordings import Wording, WordingChoice, one_wording

Rng = np.random.Generator
_SYNONYM_SHARE = 0.45
_LOWER_SHARE = 0.2
_BARE_SHARE = 0.2


def asked_name(one: Structure, rng: Rng, allowed: Sequence[str] | None = None) -> str:
    """The name of a structure, or now and then a synonym."""
    synonyms = one.synonyms if allowed is None else allowed
    return one_of(rng, synonyms) if synonyms and rng.random() < _SYNONYM_SHARE else one.name


def filled(template: str, name: str, **more: str) -> str:
    """The template with a name in it.

    Example:
        >>> filled("Where {be} {the}?", "lungs")
        'Where are the lungs?'
    """
    be = verb(name)
    return template.format(
        name=name, the=f"the {name}", any=with_article(name), be=be, Be=be.capitalize(), **more
    )  # fmt: skip


def loosened(text: str, rng: Rng) -> str:
    """The text as people type it: now and then without capitals, or without the mark at its end."""
    lower, bare = rng.random() < _LOWER_SHARE, rng.random() < _BARE_SHARE
    text = text.lower() if lower else text[:1].upper() + text[1:]
    return text.rstrip(".?") if bare else text


def drawn(wordings: Sequence[Wording], choice: WordingChoice, rng: Rng) -> tuple[str, str]:
    """Text and id of one wording."""
    wording = one_wording(wordings, choice, rng)
    return wording.text, wording.id
