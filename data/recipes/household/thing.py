"""`Thing`: an object with everything that is true of it, and `Phrase`: words that need some of it to be true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from data.recipes.tabletop.surfaces import Parts

Role = Literal["name", "attribute", "side", "category"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Words, and the facts that make them true."""

    text: str
    needs: frozenset[str]
    """True of a thing that has all these facts."""
    role: Role
    """A name or attribute holds from every side; a side phrase only where the telling side is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One object that stands on z = 0 and shows its front to -y."""

    kind: str
    name: str
    parts: Parts
    facts: frozenset[str]
    """True from every side."""
    telling_facts: frozenset[str]
    """True as well, but seen from the telling side alone."""
    phrases: tuple[Phrase, ...]
    """All that is said of it."""

    @property
    def all_facts(self) -> frozenset[str]:
        """What is true, whether seen or not."""
        return self.facts | self.telling_facts


CATEGORIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fruit": (("apple", "banana", "orange", "lemon", "pear"), ("fruit", "piece of fruit", "fresh fruit")),
    "food": (
        ("apple", "banana", "orange", "lemon", "pear", "doughnut", "cupcake", "pizza", "egg", "tomato"),
        ("food", "something to eat", "snack"),
    ),
    "drinking": (("mug", "glass"), ("something to drink from", "cup for a drink")),
    "reading": (("book",), ("something to read", "reading matter")),
    "toy": (("duck", "ball", "die", "block", "car", "robot"), ("toy", "something to play with", "plaything")),
    "cutlery": (("spoon", "fork"), ("cutlery", "something to eat with")),
    "tool": (("hammer",), ("tool", "something to hit nails with")),
    "device": (("laptop", "camera", "phone"), ("electronic device", "gadget", "something with a battery")),
    "light": (("lamp", "candle"), ("light", "something that gives light")),
    "container": (("bowl", "jar", "basket", "pan"), ("container",)),
    "growing": (("plant", "cactus"), ("plant", "something that grows", "green plant")),
    "sweet": (("doughnut", "cupcake"), ("cake", "pastry", "something sweet")),
}
"""Category -> (kinds, phrases)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a builder describes its thing."""

    words: tuple[str, ...]
    """Nouns of the kind; the first one names it."""
    colour: str | None = None
    """Main colour, seen from every side."""
    alone: tuple[str, ...] = ()
    """Phrases that hold for all things of the kind."""
    features: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(fact, phrases about it); `{c}` in a phrase is the main colour and makes it needed too."""
    telling: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(fact seen from the telling side, phrases about it)."""
    told_names: tuple[str, ...] = ()
    """Names that only the telling side justifies; they need the first telling fact."""
    shape: tuple[str, ...] = ()
    """Nouns of the bare shape, as in `yellow curved fruit`; said with the colour."""


def make_thing(kind: str, parts: Parts, said: Said) -> Thing:
    """The thing with its facts and all phrases that follow from them."""
    categories = [f"category:{name}" for name, (kinds, _) in CATEGORIES.items() if kind in kinds]
    colour = [] if said.colour is None else [f"colour:{said.colour}"]
    facts = frozenset([kind, *categories, *colour, *(fact for fact, _ in said.features)])
    telling = frozenset(fact for fact, _ in said.telling)
    phrases = [*_plain_phrases(kind, said), *_feature_phrases(kind, said, colour)]
    for name in categories:
        phrases += _phrases(CATEGORIES[name.partition(":")[2]][1], [name], "category")
    name = said.told_names[0] if said.told_names else " ".join(filter(None, (said.colour, said.words[0])))
    return Thing(
        kind=kind, name=name, parts=parts, facts=facts, telling_facts=telling, phrases=tuple(_distinct(phrases))
    )


def is_true(phrase: Phrase, facts: frozenset[str]) -> bool:
    """Whether the facts make the phrase true."""
    return phrase.needs <= facts


def _plain_phrases(kind: str, said: Said) -> list[Phrase]:
    role: Role = "name" if said.told_names else "attribute"
    found = _phrases(said.words, [kind], "category") + _phrases(said.alone, [kind], "attribute")
    if said.colour is not None:
        needs = [kind, f"colour:{said.colour}"]
        found += _phrases(
            [f"{said.colour} {word}" for word in said.words], needs, "attribute" if role == "name" else "name"
        )
        found += _phrases([f"{word} that is {said.colour}" for word in said.words[:1]], needs, "attribute")
        found += _phrases([f"{said.colour} {shape}" for shape in said.shape], needs, "attribute")
    if said.told_names:
        found += _phrases(said.told_names, [kind, said.telling[0][0]], "name")
    return found


def _feature_phrases(kind: str, said: Said, colour: Sequence[str]) -> list[Phrase]:
    found = []
    roles: tuple[tuple[tuple[tuple[str, tuple[str, ...]], ...], Role], ...] = (
        (said.features, "attribute"),
        (said.telling, "side"),
    )
    for entries, role in roles:
        for fact, texts in entries:
            for text in texts:
                needs = [fact, *(colour if "{c}" in text else [])]
                bare = role == "side" and not any(word in text for word in said.words)
                found.append(
                    Phrase(
                        text=text.replace("{c}", said.colour or ""),
                        needs=frozenset(needs if bare else [*needs, kind]),
                        role=role,
                    )
                )
    return found


def _phrases(texts: Iterable[str], needs: Sequence[str], role: Role) -> list[Phrase]:
    return [Phrase(text=text, needs=frozenset(needs), role=role) for text in texts]


def _distinct(phrases: Iterable[Phrase]) -> list[Phrase]:
    return list({phrase.text: phrase for phrase in phrases}.values())
