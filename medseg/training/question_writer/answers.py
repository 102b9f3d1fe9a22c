"""How answers are put: short and regular, one [SEG] behind each phrase, in the order of mention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.training.question_writer.structure import verb, with_article

FOUND = ("Here {be} {list}.",) * 3 + ("I marked {list}.", "Sure, here {be} {list}.", "This {be} {list}.")
"""To a request; the first one most often."""
FOUND_ALL = ("Here are {list}.",) * 3 + ("I marked {list}.", "Sure, here are {list}.")
YES = ("Yes, here {be} {list}.", "Yes, I marked {list}.")
MEANT = ("That {be} {list}.", "It {be} {list}.", "Here {be} {list}.")
REFUSALS = (
    "There {be} no {name} in the image.", "I see no {name} here.", "The image shows no {name}.",
    "I do not see {any} in this image.", "No {name} can be seen.", "I cannot find {any} here.",
    "There {be} no {name} to mark.", "I find no {name} in this image.", "This image does not show {any}.",
    "No {name} {be} visible here.", "Sorry, there {be} no {name} in the image.",
)  # fmt: skip
NO = ("No, there {be} no {name}.", "No, I see no {name}.", "No, there {be} no {name} in the image.")


def one_of(rng: np.random.Generator, texts: Sequence[str]) -> str:
    """One of the texts, drawn evenly."""
    return texts[int(rng.integers(len(texts)))]


def phrase(label: str) -> str:
    """A target as answers mention it.

    Example:
        >>> phrase("left lung")
        'the <p>left lung</p> [SEG]'
    """
    return f"the <p>{label}</p> [SEG]"


def enumerated(parts: Sequence[str]) -> str:
    """Parts with commas and an `and`.

    Example:
        >>> enumerated(["a", "b", "c"])
        'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def found(labels: Sequence[str], rng: np.random.Generator, patterns: Sequence[str] = FOUND) -> str:
    """The answer that marks the labels.

    Example:
        >>> found(["liver"], np.random.default_rng(0), YES)
        'Yes, I marked the <p>liver</p> [SEG].'
    """
    chosen = one_of(rng, FOUND_ALL if len(labels) > 1 else patterns)
    be = "are" if len(labels) > 1 else verb(labels[0])
    text = chosen.format(be=be, list=enumerated([phrase(label) for label in labels]))
    for singular, plural in (("This are", "These are"), ("That are", "Those are"), ("It are", "They are")):
        text = text.replace(singular, plural)
    return text


def refusal(name: str, rng: np.random.Generator, patterns: Sequence[str] = REFUSALS) -> str:
    """The answer that says that something is not there.

    Example:
        >>> refusal("lungs", np.random.default_rng(0), NO)
        'No, there are no lungs in the image.'
    """
    text = one_of(rng, patterns).format(be=verb(name), name=name, any=with_article(name))
    return text
