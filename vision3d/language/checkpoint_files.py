"""Where an OpenCLIP model lies on this machine: a folder in the layout of its hub, or the caches of its downloads.

Nothing here reaches for the network; a file that is not there is an error that says how to get it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision3d.errors import ModelFileError
from vision3d.language.word_tokenizer import read_vocabulary
from vlm_bridge.file_hashes import file_sha256

CONFIG_NAME = "open_clip_config.json"
VOCABULARY_NAME = "vocabulary.json"
WEIGHT_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pt")
"""Files looked for in a folder, the first one found is taken."""
_READABLE = {".safetensors", ".bin", ".pt", ".pth"}
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's own pixel statistics, for models that state none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """Everything that makes one encoder."""

    name: str
    """Architecture, for messages and the encoder's id."""
    model_config: Mapping[str, Any]
    """Arguments of open_clip's model: embed_dim, vision_cfg, text_cfg and switches."""
    preprocess: Mapping[str, Any]
    """Mean and deviation of the pixels, where the model states them; its cosine gate, where it was measured."""
    weights: Path
    """Checkpoint."""
    vocabulary: tuple[str, ...] | None = None
    """Words of a `WordTokenizer`; None where open_clip's own tokenizer belongs to the model."""
    tokenizer_folder: Path | None = None
    """Folder of the Hugging Face tokenizer that `model_config` may name; None where none lies beside the weights."""


def read_model_folder(folder: Path) -> ModelFiles:
    """The model in `folder`: open_clip_config.json, its weights, and its vocabulary where it has one of its own.

    Raises:
        ModelFileError: a file is missing or unreadable.
    """
    path = folder / CONFIG_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        model_config, preprocess = dict(content["model_cfg"]), dict(content.get("preprocess_cfg", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{path}: expected a configuration with model_cfg, found none that can be read "
            f"({type(error).__name__}: {error}). Put the file of the model's hub page there."
        ) from error
    found = [folder / name for name in WEIGHT_NAMES if (folder / name).is_file()]
    if not found:
        raise ModelFileError(
            f"{folder}: expected weights named {' or '.join(WEIGHT_NAMES)}, found none. Put the checkpoint there."
        )
    words = folder / VOCABULARY_NAME
    return ModelFiles(
        name=folder.resolve().name,
        model_config=model_config,
        preprocess=preprocess,
        weights=found[0],
        vocabulary=read_vocabulary(words) if words.is_file() else None,
        tokenizer_folder=folder if (folder / "tokenizer.json").is_file() else None,
    )


def check_weights(path: Path) -> Path:
    """`path` itself, after a look at whether it can be a checkpoint.

    Raises:
        ModelFileError: there is no file, or it is of a kind that is not read.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: expected a checkpoint file, found none. Check the path, or download it first.")
    if path.suffix not in _READABLE:
        raise ModelFileError(
            f"{path}: expected a checkpoint that ends in {', '.join(sorted(_READABLE))}, found {path.suffix!r}. "
            "Convert it to safetensors."
        )
    return path


def downloaded_weights(model: str, tag: str, source: Mapping[str, Any]) -> Path:
    """The weights of an OpenCLIP tag where an earlier download left them; `source` is open_clip's entry of the tag.

    Raises:
        ModelFileError: they are not on this machine.
    """
    repository, _, file = str(source.get("hf_hub", "")).rpartition("/")
    names = (file,) if file else WEIGHT_NAMES
    places = [path for name in names if repository for path in _hub_snapshots(repository, name)]
    url = str(source.get("url", ""))
    legacy = Path("~/.cache/clip").expanduser() / url.rpartition("/")[2]
    found = [*places, *([legacy] if url and legacy.is_file() else [])]
    if found:
        return found[0]
    get = f"hf download {repository} {file or WEIGHT_NAMES[0]}" if repository else f"get {url} into {legacy.parent}"
    raise ModelFileError(
        f"Expected the weights {tag!r} of {model} on this machine, found none in {_hub_cache()} nor {legacy.parent}. "
        f"Run once where there is a network: {get} -- or give a checkpoint file as {model}=FILE, or use 'embedded'."
    )


def downloaded_folder(repository: str, file: str) -> Path:
    """The folder of a repository of the hub that holds `file`, where an earlier download left it.

    Raises:
        ModelFileError: it is not on this machine.
    """
    found = _hub_snapshots(repository, file)
    if not found:
        raise ModelFileError(
            f"Expected {file} of {repository} on this machine, found none in {_hub_cache()}. "
            f"Run once where there is a network: hf download {repository}"
        )
    return found[-1].parent


def pixel_statistics(files: ModelFiles) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the pixels (red, green, blue); CLIP's own where the model states none.

    Raises:
        ModelFileError: what the model states are no three numbers, or deviations that are not above zero.
    """
    stated = files.preprocess.get("mean") or _MEAN, files.preprocess.get("std") or _DEVIATION
    try:
        mean, deviation = (tuple(float(value) for value in values) for values in stated)
    except (TypeError, ValueError):
        mean, deviation = (), ()
    if len(mean) != 3 or len(deviation) != 3 or min(deviation) <= 0:
        raise ModelFileError(
            f"{files.name}: expected three numbers as mean and three above zero as std of its preprocess_cfg, found "
            f"{stated[0]!r} and {stated[1]!r}. Correct {CONFIG_NAME}."
        )
    return mean, deviation


def model_digest(files: ModelFiles) -> str:
    """Sixteen hexadecimal digits that change with the configuration, the vocabulary or the weights."""
    facts = [files.model_config, pixel_statistics(files), files.vocabulary, file_sha256(files.weights)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _hub_cache() -> Path:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()


def _hub_snapshots(repository: str, name: str) -> list[Path]:
    folder = _hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots"
    return sorted(folder.glob(f"*/{name}"))
