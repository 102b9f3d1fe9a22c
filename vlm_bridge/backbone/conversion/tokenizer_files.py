"""The tokenizer of an original checkpoint with the names and the chat template that transformers' processor needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from vlm_bridge.backbone.json_files import read_json_object, write_json_object
from vlm_bridge.backbone.tokenizer_settings import CHAT_TEMPLATE, write_tokenizer
from vlm_bridge.errors import BackboneError
from vlm_bridge.prompts.special_tokens import SpecialTokens

_FILES = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt",
    "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json",
)  # fmt: skip


def convert_tokenizer(source: Path, target: Path, tokens: SpecialTokens = SpecialTokens()) -> Any:
    """The tokenizer of `source`, written to `target`, which holds the new config.json already; every token keeps its
    id and none is added.

    Raises:
        BackboneError: the files make no tokenizer, or it lacks the tokens of pictures.
    """
    _copy_files(source, target)
    try:
        tokenizer = AutoTokenizer.from_pretrained(target, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(
            f"{source}: expected the files of a tokenizer ({', '.join(_FILES)}), found ones that make none "
            f"({type(error).__name__}: {error}). Download the checkpoint again."
        ) from error
    _check_ids(source, tokenizer, tokens)
    for path in _FILES:
        (target / path).unlink(missing_ok=True)
    tokenizer.chat_template = CHAT_TEMPLATE
    write_tokenizer(tokenizer, target, tokens)
    return tokenizer


def _copy_files(source: Path, target: Path) -> None:
    for name in _FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    settings = target / "tokenizer_config.json"
    if settings.is_file():
        # Without the pointers to code that comes with the checkpoint, which is never run.
        kept = {name: value for name, value in read_json_object(settings).items() if name != "auto_map"}
        write_json_object(settings, kept)


def _check_ids(source: Path, tokenizer: Any, tokens: SpecialTokens) -> None:
    known = tokenizer.get_vocab()
    needed = (tokens.image_start, tokens.image_context, tokens.image_end)
    missing = [text for text in needed if text not in known]
    if missing:
        raise BackboneError(
            f"{source}: expected a tokenizer with {' '.join(needed)}, found none of {' '.join(missing)}. "
            "This is no checkpoint of InternVL's layout."
        )
    added = read_json_object(source / "added_tokens.json") if (source / "added_tokens.json").is_file() else {}
    moved = [text for text, number in added.items() if known.get(text) != number]
    if moved:
        raise BackboneError(
            f"{source}: expected {moved[0]!r} to be token {added[moved[0]]} as added_tokens.json says, found "
            f"{known.get(moved[0])}. Restore the files of the tokenizer."
        )
