"""`OpenClipEncoder`: any model of open_clip, loaded from files of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.language.checkpoint_files import (
    ModelFiles,
    check_weights,
    downloaded_weights,
    model_digest,
    pixel_statistics,
    read_model_folder,
)
from vision3d.language.open_clip_door import build_model, known_config, load_weights, published_weights, text_tokenizer
from vision3d.language.word_tokenizer import WordTokenizer

_COSINE_GATE = 0.23
"""Measured by LaGa for OpenCLIP ViT-B-16 (laion2b_s34b_b88k); models whose own gate was measured state it."""
_FOUND_RELEVANCES = (0.4, 0.25)
"""LERF's 0.5, where a phrase beats every canonical one, times a usual weight of 0.8; and less. Not calibrated."""


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
        self._tokenize = text_tokenizer(files)
        model = build_model(files.model_config)
        load_weights(model, files)
        self._model = model.to(self._device).eval()
        self._statistics = torch.tensor(pixel_statistics(files), device=self._device)[:, :, None, None]
        self._image_size = _square_side(files)
        self._cosine_gate = float(files.preprocess.get("cosine_gate", _COSINE_GATE))
        found, uncertain = _FOUND_RELEVANCES
        stated = files.preprocess
        self._found_relevances = (
            float(stated.get("found_relevance", found)), float(stated.get("uncertain_relevance", uncertain)),
        )  # fmt: skip
        self._mirrored = bool(stated.get("mirrored", False))
        self._encoder_id = f"{files.name}/{model_digest(files)}{'/mirrored' if self._mirrored else ''}"
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
        config = known_config(model)
        return cls(ModelFiles(name=model, model_config=config, preprocess={}, weights=weights), device=device)

    @classmethod
    def from_tag(cls, model: str, tag: str, *, device: torch.device | str = "cpu") -> OpenClipEncoder:
        """One of open_clip's architectures with published weights that were downloaded before.

        Raises:
            InvalidInputError: the architecture or the tag is unknown.
            ModelFileError: the weights are not on this machine; the message says how to get them.
        """
        config = known_config(model)
        source = published_weights(model, tag)
        if source.get("quick_gelu"):
            config["quick_gelu"] = True
        files = ModelFiles(
            name=model, model_config=config, preprocess=source, weights=downloaded_weights(model, tag, source)
        )
        return cls(files, device=device)

    @property
    def encoder_id(self) -> str:
        """Architecture, digest of configuration, vocabulary and weights, and whether pictures are seen mirrored too."""
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

    @property
    def found_relevances(self) -> tuple[float, float]:
        """Weighted relevance from which a phrase is found, and from which it is at least uncertain."""
        return self._found_relevances

    @torch.no_grad()
    def encode_images(self, images: Float[Tensor, "image 3 size size"]) -> Float[Tensor, "image dim"]:
        """Unit vectors of square pictures (display values, 0-1) of `image_size`, on the CPU.

        A model whose configuration says `mirrored`, because it was trained so, sees every picture both ways round and
        takes the direction between the two vectors.

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
        pixels = (images.to(self._device).float() - mean) / deviation
        vectors = self._unit_vectors(pixels)
        if self._mirrored:
            vectors = normalize(vectors + self._unit_vectors(pixels.flip(-1)), dim=-1)
        return vectors.cpu()

    def _unit_vectors(self, pixels: Tensor) -> Tensor:
        with self._precision():
            return normalize(self._model.encode_image(pixels).float(), dim=-1)

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, "text dim"]:
        """Unit vectors of phrases, on the CPU."""
        if not texts:
            return torch.zeros(0, self._dim)
        with self._precision():
            vectors = self._model.encode_text(self._tokenize(list(texts)).to(self._device))
        return normalize(vectors.float(), dim=-1).cpu()

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that mean nothing to the encoder, in order; empty for models that read pieces of words."""
        return self._tokenize.unknown_words(text) if isinstance(self._tokenize, WordTokenizer) else ()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda")


def _square_side(files: ModelFiles) -> int:
    size = files.model_config["vision_cfg"].get("image_size", 224)
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ModelFileError(f"{files.name}: expected square pictures, found a model for {size}. Use another model.")
    return int(sides.pop())
