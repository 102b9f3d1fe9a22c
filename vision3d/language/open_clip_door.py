"""The one door to open_clip: models from their configuration, their weights, their tokenizers.

Works with open_clip 2.32 and 3.x. Models are built from configurations, weights are read without unpickling code, and
whatever lies on the hub is looked for on this machine only: nothing is downloaded, nothing in a checkpoint is run.
"""

from __future__ import annotations

import importlib
import importlib.util
import pickle
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from vision3d.errors import InvalidInputError, MissingDependencyError, ModelFileError
from vision3d.language.checkpoint_files import ModelFiles, downloaded_folder
from vision3d.language.word_tokenizer import WordTokenizer

_NOT_BUILT = (RuntimeError, KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, ImportError)
_NOT_LOADED = (*_NOT_BUILT, StopIteration, pickle.UnpicklingError, SafetensorError)
_CONTEXT_LENGTH = 77
"""Tokens of a text where the configuration says nothing."""


def build_model(config: Mapping[str, Any]) -> Any:
    """A model of open_clip with random weights from its configuration (`model_cfg`); recipes train it.

    Raises:
        ModelFileError: the configuration describes no model of the installed open_clip.
        MissingDependencyError: open_clip is not installed.
    """
    library = _open_clip()
    try:
        settings = {key: value for key, value in config.items() if key != "custom_text"}
        vision = dict(settings["vision_cfg"], timm_model_pretrained=False)
        text = dict(settings["text_cfg"], hf_model_pretrained=False)
        if name := text.get("hf_model_name"):
            text["hf_model_name"] = str(downloaded_folder(name, "config.json"))
        custom = config.get("custom_text") or bool(name)
        kind = library.CLIP if not custom else library.CoCa if "multimodal_cfg" in config else library.CustomTextCLIP
        return kind(**settings | {"vision_cfg": vision, "text_cfg": text})
    except _NOT_BUILT as error:
        raise ModelFileError(
            f"Expected the configuration of a model of open_clip {library.__version__}, found one that builds none "
            f"({type(error).__name__}: {error}). Update open_clip_torch and timm, or correct the configuration."
        ) from error


def load_weights(model: Any, files: ModelFiles) -> None:
    """Fill `model`, built from the configuration of `files`, with the weights of `files`.

    Raises:
        ModelFileError: the file is cut, or holds the weights of another model.
    """
    try:
        _open_clip().load_checkpoint(model, str(files.weights), weights_only=True)
    except _NOT_LOADED as error:
        raise ModelFileError(
            f"{files.weights}: expected weights of {files.name}, found a file that does not load as such "
            f"({type(error).__name__}: {str(error)[:300]}). Check that the architecture is the checkpoint's own."
        ) from error


def known_config(model: str) -> dict[str, Any]:
    """The configuration of one of open_clip's own architectures.

    Raises:
        InvalidInputError: there is none of that name.
    """
    library = _open_clip()
    if model not in library.list_models():  # other names make open_clip 3 look on the hub
        raise InvalidInputError(
            f"Expected an architecture of open_clip {library.__version__} such as ViT-B-16, found {model!r}. "
            "Call open_clip.list_models() for all of them, give a folder with open_clip_config.json, or 'embedded'."
        )
    return dict(library.get_model_config(model))


def published_weights(model: str, tag: str) -> dict[str, Any]:
    """What open_clip knows of the published weights `tag`: where they lie, mean and std of the pixels.

    Raises:
        InvalidInputError: the architecture has no weights of that name.
    """
    library = _open_clip()
    source = library.get_pretrained_cfg(model, tag)
    if not source:
        known = ", ".join(library.list_pretrained_tags_by_model(model)) or "none: it has no published weights"
        raise InvalidInputError(f"{model}: expected the tag of its weights ({known}), found {tag!r}. Choose one.")
    return dict(source)


def text_tokenizer(files: ModelFiles) -> Callable[[list[str]], Tensor]:
    """What turns texts into the rows of numbers that the model of `files` reads.

    Raises:
        ModelFileError: the tokenizer is not on this machine, or its vocabulary is not the model's.
    """
    text = files.model_config.get("text_cfg", {})
    length = int(text.get("context_length", _CONTEXT_LENGTH))
    if files.vocabulary is not None:
        return _word_tokenizer(files, length, text.get("vocab_size"))
    tokenizers = importlib.import_module("open_clip.tokenizer")
    settings = dict(text.get("tokenizer_kwargs") or {})
    if not text.get("hf_tokenizer_name"):
        return tokenizers.SimpleTokenizer(context_length=length, **settings)
    if text.get("tokenizer_mode"):  # open_clip 3 alone knows it
        settings["tokenizer_mode"] = text["tokenizer_mode"]
    folder = files.tokenizer_folder or downloaded_folder(text["hf_tokenizer_name"], "tokenizer_config.json")
    try:
        wrapped = tokenizers.HFTokenizer(str(folder), context_length=length, local_files_only=True, **settings)
    except (OSError, ImportError, ValueError, TypeError, KeyError) as error:
        raise ModelFileError(
            f"{folder}: expected the tokenizer of {files.name}, found none that can be read "
            f"({type(error).__name__}: {str(error)[:300]}). Download it again, or install transformers."
        ) from error
    if not hasattr(wrapped.tokenizer, "batch_encode_plus"):  # open_clip 2 calls what transformers 5 has dropped
        wrapped.tokenizer.batch_encode_plus = wrapped.tokenizer.__call__
    return wrapped


def _word_tokenizer(files: ModelFiles, length: int, size: object) -> WordTokenizer:
    tokenizer = WordTokenizer(files.vocabulary or (), context_length=length)
    if size != tokenizer.vocabulary_size:
        raise ModelFileError(
            f"{files.name}: expected a text_cfg with vocab_size {tokenizer.vocabulary_size} for its vocabulary of "
            f"{len(tokenizer.words)} words, found {size}. Put back the vocabulary the model was trained with."
        )
    return tokenizer


def _open_clip() -> ModuleType:
    if importlib.util.find_spec("open_clip") is None:
        raise MissingDependencyError(
            "open_clip is needed to encode pictures and phrases, but it is not installed. "
            "Run: pip install 'vision3d-medseg[vision3d]'"
        )
    return importlib.import_module("open_clip")
