"""The task of the embedded model that looks values up; it lives in the package, where a command learns it too."""

from __future__ import annotations

from vlm_bridge.optim.lookup_task import (
    ASK,
    BEGIN,
    FIRST_VALUE,
    LETTERS,
    NOT_ASKED,
    PAD,
    PAIR_TOKENS,
    QUESTION_TOKENS,
    VALUES,
    VOCABULARY,
    Questions,
    prompts,
    questions,
)

__all__ = [
    "ASK",
    "BEGIN",
    "FIRST_VALUE",
    "LETTERS",
    "NOT_ASKED",
    "PAD",
    "PAIR_TOKENS",
    "QUESTION_TOKENS",
    "VALUES",
    "VOCABULARY",
    "Questions",
    "prompts",
    "questions",
]
