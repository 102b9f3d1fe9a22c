"""`Conversation`: what was said so far, and the pictures shown with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL.Image import Image

from vlm_bridge.errors import InvalidInputError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn. Pictures come before the text of their turn."""

    role: Role
    text: str
    """Of a user or system: plain text, in which typed special tokens mean nothing. Of an assistant: may hold them."""
    images: tuple[Image, ...] = ()
    """Shown with this turn; only a user shows pictures."""

    def __post_init__(self) -> None:
        if self.role not in ("system", "user", "assistant"):
            raise InvalidInputError(f"Message: expected role system, user or assistant, found {self.role!r}.")
        if self.images and self.role != "user":
            raise InvalidInputError(
                f"Message: expected pictures in a user's turn only, found {len(self.images)} in a turn of "
                f"{self.role}. Move them."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Turns in order: perhaps a system message, then user and assistant in turn. It ends where an answer is wanted,
    with a user's turn, or, to learn from, with an assistant's."""

    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        roles = [message.role for message in self.messages]
        body = roles[1:] if roles[:1] == ["system"] else roles
        if not body or any(role != ("user", "assistant")[number % 2] for number, role in enumerate(body)):
            raise InvalidInputError(
                f"Conversation: expected user and assistant in turn (after at most one system message), found {roles}."
            )

    @property
    def images(self) -> tuple[Image, ...]:
        """All pictures, in the order in which they are shown."""
        return tuple(image for message in self.messages for image in message.images)


def ask(question: str, *images: Image) -> Conversation:
    """A conversation of one question about some pictures.

    Example:
        >>> ask("what is this?").messages[0].role
        'user'
    """
    return Conversation(messages=(Message(role="user", text=question, images=images),))
