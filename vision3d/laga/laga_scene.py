"""`LagaScene`: a scene with its objects and their descriptors, the artefact of training, kept in one small file.

The file lies beside the PLY and names it by its SHA-256; splats themselves are never copied. Everything a query needs
is in it: no photos, no masks, no mask features.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.laga.object_descriptors import ObjectDescriptors
from vision3d.scene.catalogue import read_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vlm_bridge.atomic_write import written_whole
from vlm_bridge.file_hashes import file_sha256

SUFFIX = ".laga.safetensors"
_FORMAT = "vision3d laga scene 1"
_TENSORS = frozenset(
    ("gaussian_object", "object_level", "object_masks", "descriptor_vectors", "descriptor_object", "descriptor_weights")
)
_FACTS = frozenset(("splats", "splats_sha256", "encoder_id", "encoder_name", "level_names", "picture", "facts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LagaScene:
    """What can be asked."""

    scene: GaussianScene
    gaussian_object: Int[Tensor, "level gaussian"]
    """Object of each Gaussian at each level; -1 = in no object."""
    object_level: Int[Tensor, " object"]
    """Level of each object, rising."""
    object_masks: Int[Tensor, " object"]
    """Masks each object was seen in."""
    descriptors: ObjectDescriptors
    level_names: tuple[str, ...]
    """From fine to coarse."""
    encoder_name: str
    """How the encoder was asked for, e.g. `embedded`."""
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Behind the scene in pictures of it."""
    antialiased: bool = False
    """Whether the scene was fitted, and so is rendered, with the antialiased filter."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Where it comes from: engine, settings, versions, seeds."""

    def __post_init__(self) -> None:
        expected = (len(self.level_names), len(self.scene))
        if tuple(self.gaussian_object.shape) != expected or len(self.object_level) != len(self.object_masks):
            raise InvalidInputError(
                f"LagaScene: expected objects of {expected[0]} levels and {expected[1]} Gaussians, found "
                f"{tuple(self.gaussian_object.shape)}; levels of {len(self.object_level)} objects and masks of "
                f"{len(self.object_masks)}. Use the objects and the splats of one training."
            )
        named = torch.cat([self.gaussian_object.flatten(), self.descriptors.object])
        if len(named) and int(named.max()) >= len(self.object_level):
            raise InvalidInputError(
                f"LagaScene: expected objects below {len(self.object_level)}, found {int(named.max())} on a Gaussian "
                "or a descriptor. Use the objects and the descriptors of one training."
            )

    @property
    def object_count(self) -> int:
        """Objects on all levels."""
        return len(self.object_level)

    @property
    def encoder_id(self) -> str:
        """Encoder whose vectors the descriptors are."""
        return self.descriptors.encoder_id


def laga_path_of(splats: Path) -> Path:
    """Where the file of a PLY lies: beside it, `scene.ply` -> `scene.laga.safetensors`."""
    return splats.with_name(splats.stem + SUFFIX)


def save_laga_scene(laga: LagaScene, path: Path, *, splats: Path) -> None:
    """Write everything but the splats, which lie in the file `splats`.

    Raises:
        InvalidInputError: there are too many objects for the file's 16-bit numbers, or the splats are not beside it.
    """
    if laga.object_count >= 2**15:
        raise InvalidInputError(f"Expected at most {2**15 - 1} objects, found {laga.object_count}. Use coarser masks.")
    if not splats.is_file() or splats.resolve().parent != path.resolve().parent:
        raise InvalidInputError(
            f"Expected splats beside {path}, found {splats} ({'' if splats.is_file() else 'no '}file). "
            "Write the scene first, and both into one folder."
        )
    tensors = {
        "gaussian_object": laga.gaussian_object.to(torch.int16),
        "object_level": laga.object_level.to(torch.int16),
        "object_masks": laga.object_masks.to(torch.int32),
        "descriptor_vectors": laga.descriptors.vectors.half(),
        "descriptor_object": laga.descriptors.object.to(torch.int16),
        "descriptor_weights": laga.descriptors.weights.float(),
    }
    metadata = {
        "format": _FORMAT,
        "splats": splats.name,
        "splats_sha256": file_sha256(splats),
        "encoder_id": laga.encoder_id,
        "encoder_name": laga.encoder_name,
        "level_names": json.dumps(laga.level_names),
        "picture": json.dumps({"background": laga.background, "antialiased": laga.antialiased}),
        "facts": json.dumps(dict(laga.facts)),
    }
    with written_whole(path) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata=metadata)


def load_laga_scene(path: Path, *, scene: GaussianScene | None = None) -> LagaScene:
    """The scene of a `.laga.safetensors` file; the splats are read from beside it unless they are given.

    Raises:
        ModelFileError: the file is missing, cut or of another kind, or the splats beside it are others than then.
    """
    tensors, facts = _contents(path)
    if scene is None:
        splats = path.with_name(Path(facts["splats"]).name)
        if not splats.is_file() or file_sha256(splats) != facts["splats_sha256"]:
            found = "other splats" if splats.is_file() else "no file"
            raise ModelFileError(
                f"{splats}: expected the splats {path.name} was made from, found {found}. "
                "Put them back beside it, or train again on the new splats."
            )
        scene = read_splats(splats)
    descriptors = ObjectDescriptors(
        vectors=torch.nn.functional.normalize(tensors["descriptor_vectors"].float(), dim=-1),
        object=tensors["descriptor_object"].long(),
        weights=tensors["descriptor_weights"],
        encoder_id=facts["encoder_id"],
    )
    picture = json.loads(facts["picture"])
    return LagaScene(
        scene=scene,
        gaussian_object=tensors["gaussian_object"].long(),
        object_level=tensors["object_level"].long(),
        object_masks=tensors["object_masks"].long(),
        descriptors=descriptors,
        level_names=tuple(json.loads(facts["level_names"])),
        encoder_name=facts["encoder_name"],
        background=tuple(picture["background"]),
        antialiased=bool(picture["antialiased"]),
        facts=json.loads(facts["facts"]),
    )


def splats_path(path: Path) -> Path:
    """The splats that a `.laga.safetensors` file names, beside it.

    Raises:
        ModelFileError: the file is missing, cut or of another kind.
    """
    return path.with_name(Path(_contents(path)[1]["splats"]).name)


def _contents(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("format") != _FORMAT:
                raise ModelFileError(
                    f"{path}: expected a file of {_FORMAT!r}, found {facts.get('format')!r}. Train the scene again."
                )
            missing = (_TENSORS - set(file.keys())) | (_FACTS - set(facts))
            if missing:
                raise ModelFileError(
                    f"{path}: expected all of a scene with objects, found no {sorted(missing)}. Train the scene again."
                )
            return {name: file.get_tensor(name) for name in _TENSORS}, facts
    except (OSError, SafetensorError) as error:
        raise ModelFileError(
            f"{path}: expected a scene with objects, found: {error}. Run `vision3d train` on the splats first."
        ) from error


def object_sizes(laga: LagaScene) -> Float[Tensor, " object"]:
    """Number of Gaussians in each object."""
    flat = laga.gaussian_object.flatten()
    return torch.bincount(flat[flat >= 0], minlength=laga.object_count).float()
