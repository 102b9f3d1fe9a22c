"""`OpenClipEncoder`, and the one door to open_clip: any of its models, loaded from files of this machine.

Works with open_clip 2.32 and 3.x: models are built from their configuration and weights are read without unpickling
code, so nothing is downloaded and nothing in a checkpoint is run.
"""

from __future__ import annotations

import importlib
import importlib.util
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError, MissingDependencyError, ModelFileError
from vision3d.language.checkpoint_files import (
    ModelFiles,
    check_weights,
    downloaded_weights,
    model_digest,
    read_model_folder,
)
from vision3d.language.word_tokenizer import WordTokenizer

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's own pixel statistics, for models that state none."""
_COSINE_GATE = 0.23
"""Measured by LaGa for OpenCLIP ViT-B-16 (laion2b_s34b_b88k); models whose own gate was measured state it."""
_NOT_LOADED = (RuntimeError, KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, ImportError)
_BROKEN = (*_NOT_LOADED, pickle.UnpicklingError, SafetensorError)


class OpenClipEncoder:
    """A CLIP-like model of open_clip as an `ImageTextEncoder`."""

    def __init__(self, files: ModelFiles, *, device: torch.device | str = "cpu") -> None:
        """Build the model of `files` and load its weights.

        Raises:
            ModelFileError: configuration and weights do not make a model.
            MissingDependencyError: open_clip is not installed.
        """
        check_weights(files.weights)
        self._device = torch.device(device)
        self._model = _loaded_model(files).to(self._device).eval()
        self._tokenize = _tokenizer(files)
        self._statistics = torch.tensor(
            [files.preprocess.get("mean", _MEAN), files.preprocess.get("std", _DEVIATION)], device=self._device
        )[:, :, None, None]
        self._image_size = _square_side(files)
        self._cosine_gate = float(files.preprocess.get("cosine_gate", _COSINE_GATE))
        self._encoder_id = f"{files.name}/{model_digest(files)}"
        self._dim = int(files.model_config["embed_dim"])

    @classmethod
    def from_folder(cls, folder: Path, *, device: torch.device | str = "cpu") -> OpenClipEncoder:
        """The model of a folder in the layout of OpenCLIP's hub.

        Raises:
            ModelFileError: a file is missing, or they do not make a model.
        """
        return cls(read_model_folder(folder), device=device)

    @classmethod
    def from_file(cls, model: str, weights: Path, *, device: torch.device | str = "cpu") -> OpenClipEncoder:
        """One of open_clip's architectures, e.g. `ViT-B-16`, with the weights of a checkpoint file.

        Raises:
            InvalidInputError: the architecture is unknown.
            ModelFileError: the file is missing or fits another architecture.
        """
        config = _known_config(model)
        return cls(ModelFiles(name=model, model_config=config, preprocess={}, weights=weights), device=device)

    @classmethod
    def from_tag(cls, model: str, tag: str, *, device: torch.device | str = "cpu") -> OpenClipEncoder:
        """One of open_clip's architectures with published weights that were downloaded before.

        Raises:
            InvalidInputError: the architecture or the tag is unknown.
            ModelFileError: the weights are not on this machine; the message says how to get them.
        """
        config = _known_config(model)
        source = _open_clip().get_pretrained_cfg(model, tag)
        if not source:
            known = _open_clip().list_pretrained_tags_by_model(model)
            raise InvalidInputError(f"{model}: expected a tag of {known}, found {tag!r}. Choose one of these.")
        if source.get("quick_gelu"):
            config["quick_gelu"] = True
        files = ModelFiles(
            name=model, model_config=config, preprocess=source, weights=downloaded_weights(model, tag, source)
        )
        return cls(files, device=device)

    @property
    def encoder_id(self) -> str:
        """Architecture and digest of configuration, vocabulary and weights."""
        return self._encoder_id

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._dim

    @property
    def image_size(self) -> int:
        """Side in pixels of the pictures it takes."""
        return self._image_size

    @property
    def cosine_gate(self) -> float:
        """Cosine below which a picture and a phrase have nothing to do with each other."""
        return self._cosine_gate

    @torch.inference_mode()
    def encode_images(self, images: Float[Tensor, "image 3 size size"]) -> Float[Tensor, "image dim"]:
        """Unit vectors of square pictures (display values, 0-1) of `image_size`, on the CPU.

        Raises:
            InvalidInputError: the pictures are of another size.
        """
        if tuple(images.shape[1:]) != (3, self._image_size, self._image_size):
            raise InvalidInputError(
                f"{self._encoder_id}: expected pictures of shape (3, {self._image_size}, {self._image_size}), found "
                f"{tuple(images.shape[1:])}. Crop or resize them first."
            )
        if not len(images):
            return torch.zeros(0, self._dim)
        mean, deviation = self._statistics
        with self._precision():
            vectors = self._model.encode_image((images.to(self._device).float() - mean) / deviation)
        return normalize(vectors.float(), dim=-1).cpu()

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, "text dim"]:
        """Unit vectors of phrases, on the CPU."""
        if not texts:
            return torch.zeros(0, self._dim)
        with self._precision():
            vectors = self._model.encode_text(self._tokenize(list(texts)).to(self._device))
        return normalize(vectors.float(), dim=-1).cpu()

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that the encoder never learned; empty for models that read pieces of words."""
        return self._tokenize.unknown_words(text) if isinstance(self._tokenize, WordTokenizer) else ()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda")


def build_model(config: Mapping[str, Any]) -> Any:
    """A model of open_clip with random weights from its configuration (`model_cfg`); recipes train it.

    Raises:
        ModelFileError: the configuration describes no model of the installed open_clip.
        MissingDependencyError: open_clip is not installed.
    """
    library = _open_clip()
    settings = {key: value for key, value in config.items() if key != "custom_text"}
    text = dict(settings.get("text_cfg", {}), hf_model_pretrained=False)
    settings["text_cfg"] = text
    kind = library.CustomTextCLIP if config.get("custom_text") or text.get("hf_model_name") else library.CLIP
    try:
        return kind(**settings)
    except _NOT_LOADED as error:
        raise ModelFileError(
            f"Expected the configuration of a model of open_clip {library.__version__}, found one that builds none "
            f"({type(error).__name__}: {error}). Update open_clip_torch and timm, or correct the configuration."
        ) from error


def _loaded_model(files: ModelFiles) -> Any:
    model = build_model(files.model_config)
    try:
        _open_clip().load_checkpoint(model, str(files.weights), weights_only=True)
    except _BROKEN as error:
        raise ModelFileError(
            f"{files.weights}: expected weights of {files.name}, found a file that does not load as such "
            f"({type(error).__name__}: {str(error)[:300]}). Check that the architecture is the checkpoint's own."
        ) from error
    return model


def _known_config(model: str) -> dict[str, Any]:
    config = _open_clip().get_model_config(model)
    if config is None:
        raise InvalidInputError(
            f"Expected an architecture of open_clip {_open_clip().__version__} such as ViT-B-16, found {model!r}. "
            "Call open_clip.list_models() for all of them, give a folder with open_clip_config.json, or 'embedded'."
        )
    return dict(config)


def _tokenizer(files: ModelFiles) -> Callable[[list[str]], Tensor]:
    text = files.model_config.get("text_cfg", {})
    length = int(text.get("context_length", 77))
    if files.vocabulary is not None:
        return WordTokenizer(files.vocabulary, context_length=length)
    tokenizers = importlib.import_module("open_clip.tokenizer")
    settings = dict(text.get("tokenizer_kwargs") or {})
    name = str(files.tokenizer_folder or text.get("hf_tokenizer_name") or "")
    if not name:
        return tokenizers.SimpleTokenizer(context_length=length, **settings)
    try:
        return tokenizers.HFTokenizer(name, context_length=length, local_files_only=True, **settings)
    except (OSError, ImportError, ValueError) as error:
        raise ModelFileError(
            f"Expected the tokenizer {name} of {files.name} on this machine, found none that can be read "
            f"({type(error).__name__}). Run once where there is a network: hf download {name}"
        ) from error


def _square_side(files: ModelFiles) -> int:
    size = files.model_config["vision_cfg"].get("image_size", 224)
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ModelFileError(f"{files.name}: expected square pictures, found a model for {size}. Use another model.")
    return int(sides.pop())


def _open_clip() -> Any:
    if importlib.util.find_spec("open_clip") is None:
        raise MissingDependencyError(
            "open_clip is needed to encode pictures and phrases, but it is not installed. "
            "Run: pip install 'vision3d-medseg[vision3d]'"
        )
    return importlib.import_module("open_clip")
