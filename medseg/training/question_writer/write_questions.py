"""`write_questions`: conversations about a picture, of every kind that can be asked of it."""

from __future__ import annotations

import numpy as np

from medseg.training.question_writer.answers import one_of
from medseg.training.question_writer.catalogue import WRITERS
from medseg.training.question_writer.history_writer import write_history
from medseg.training.question_writer.picture_facts import Conversation, Exchange, PictureFacts
from medseg.training.question_writer.scene import Scene, read_scene
from medseg.training.question_writer.wordings import WordingChoice
from medseg.training.records import KINDS, Kind

_OPENERS: tuple[Kind, ...] = ("explicit", "explicit", "implicit_anatomical", "implicit_pathological", "multi")
_MIXED: tuple[Kind, ...] = ("text", "absent", "explicit", "implicit_anatomical", "spatial")
_TRIES = 4


def write_questions(
    picture: PictureFacts, rng: np.random.Generator, wordings: WordingChoice = "train", *, per_kind: int = 2
) -> list[Conversation]:
    """Conversations about the picture: up to `per_kind` of each kind, and as many dialogues of several kinds.

    Equal facts and an equally seeded generator give equal conversations.

    Args:
        picture: What is known of it.
        rng: Draws structures and wordings.
        wordings: Those to learn from, those kept out of training, or both.
        per_kind: How many of each kind; fewer where a kind cannot be asked, or would be asked twice.

    Example:
        >>> mask = np.zeros((64, 64), bool)
        >>> mask[20:40, 20:40] = True
        >>> facts = PictureFacts(modality="CT", body_part="abdomen", masks={"liver": mask})
        >>> talks = write_questions(facts, np.random.default_rng(0), "train")
        >>> sorted({exchange.kind for talk in talks for exchange in talk})[:3]
        ['absent', 'explicit', 'history']
    """
    scene = read_scene(picture)
    written: list[Conversation] = []
    asked: set[str] = set()
    for kind in KINDS:
        for _ in range(per_kind):
            talk = _write(scene, kind, rng, wordings)
            if talk is not None and _key(talk) not in asked:
                asked.add(_key(talk))
                written.append(talk)
    for _ in range(per_kind):
        talk = _dialogue(scene, rng, wordings)
        if len(talk) > 1:
            written.append(talk)
    return written


def write_conversation(
    picture: PictureFacts | Scene, rng: np.random.Generator, kind: Kind, wordings: WordingChoice = "train"
) -> Conversation | None:
    """One conversation that ends with a question of that kind, or None where it cannot be asked of the picture.

    All but `history` are one exchange. A `Scene` (`read_scene`) saves the time to read the facts again.
    """
    return _write(picture if isinstance(picture, Scene) else read_scene(picture), kind, rng, wordings)


def _write(scene: Scene, kind: Kind, rng: np.random.Generator, choice: WordingChoice) -> Conversation | None:
    if kind == "history":
        return _with_history(scene, rng, choice)
    exchange = WRITERS[kind](scene, rng, choice)
    return None if exchange is None else (exchange,)


def _with_history(scene: Scene, rng: np.random.Generator, choice: WordingChoice) -> Conversation | None:
    opener = _opener(scene, rng, choice)
    if opener is None:
        return None
    talk: Conversation = (opener,)
    for _ in range(1 if rng.random() < 0.7 else 2):
        follow_up = write_history(scene, talk, rng, choice)
        if follow_up is None:
            break
        talk = (*talk, follow_up)
    return talk if len(talk) > 1 else None


def _opener(scene: Scene, rng: np.random.Generator, choice: WordingChoice) -> Exchange | None:
    for _ in range(_TRIES):
        exchange = WRITERS[one_of(rng, _OPENERS)](scene, rng, choice)  # type: ignore[index]
        if exchange is not None and exchange.targets:
            return exchange
    return None


def _dialogue(scene: Scene, rng: np.random.Generator, choice: WordingChoice) -> Conversation:
    talk: Conversation = ()
    for _ in range(int(rng.integers(2, 5))):
        follows = talk and talk[-1].targets and rng.random() < 0.5
        exchange = write_history(scene, talk, rng, choice) if follows else None
        if exchange is None:
            exchange = WRITERS[one_of(rng, _MIXED)](scene, rng, choice)  # type: ignore[index]
        if exchange is not None and all(exchange.question != earlier.question for earlier in talk):
            talk = (*talk, exchange)
    return talk


def _key(talk: Conversation) -> str:
    return "\n".join(exchange.question.lower().rstrip(".?") for exchange in talk)
