"""`compare_models`: what tuning did to each matrix of a model, two tensors in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from tqdm import tqdm

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.spectra.compare_matrix import Compared, MatrixSpectra, compare_matrix
from vlm_bridge.spectra.weight_files import WeightFiles, open_weights


@runtime_checkable
class TunedWeights(Protocol):
    """A tuned model's tensors under the names of the base model."""

    def read(self, name: str) -> Tensor:
        """One of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectraConfig:
    """Settings of the study."""

    top: int = 16
    """Leading directions that are looked at."""
    include: tuple[str, ...] = ("*",)
    """Patterns of names of the tensors to compare."""
    exclude: tuple[str, ...] = ()
    """Patterns of those to leave out, such as *embed_tokens* where tuning added tokens."""
    control: bool = False
    """Compare each changed matrix also with itself plus noise as large as its change, which prefers no direction."""

    def __post_init__(self) -> None:
        if self.top < 1 or not self.include:
            raise InvalidInputError(
                f"Spectra: expected top >= 1 and patterns to include, found {self.top} and {self.include}. Change them."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectraStudy:
    """What came out."""

    base: str
    tuned: str
    top: int
    matrices: tuple[MatrixSpectra, ...]
    """Of all matrices that were compared, also those that did not change."""
    control: tuple[MatrixSpectra, ...]
    """Likewise with noise instead of tuning, where it was asked for."""
    values: dict[str, tuple[Tensor, Tensor]]
    """Singular values before and after, of those that changed."""

    @property
    def changed(self) -> tuple[MatrixSpectra, ...]:
        """Those that changed."""
        return tuple(one for one in self.matrices if one.relative_change > 0)


def compare_models(
    base: Path, tuned: Path, config: SpectraConfig = SpectraConfig(), *, progress: bool = True
) -> SpectraStudy:
    """Compare every matrix of two models in safetensors, or of a model and an adapter of it in PEFT's files.

    Tensors are read one by one, shard by shard. A decomposition of a matrix with shorter side m and longer side n takes
    about 20 m^2 n operations, three times: minutes for a matrix of 4096 x 14336 on a core.

    Raises:
        InvalidInputError: the models do not fit together, or nothing is to be compared.
        BackboneError: a file is missing or damaged.
    """
    before = open_weights(base)
    after, names = _tuned(before, tuned)
    chosen = _matrices(before, names, config)
    matrices, control, values = [], [], {}
    for compared, noisy in _compared(before, after, chosen, config, progress):
        matrices.append(compared.found)
        if compared.found.relative_change > 0:
            values[compared.found.name] = (compared.before, compared.after)
        if noisy is not None:
            control.append(noisy.found)
    return SpectraStudy(
        base=str(base),
        tuned=str(tuned),
        top=config.top,
        matrices=tuple(matrices),
        control=tuple(control),
        values=values,
    )


def matrix_kind(name: str) -> tuple[str, int]:
    """What a matrix is among those of its kind: its name without numbers of layers, and the first such number or -1.

    Example:
        >>> matrix_kind("language_model.model.layers.12.mlp.up_proj.weight")
        ('language_model.model.mlp.up_proj', 12)
    """
    number = re.search(r"\.(\d+)\.", name)
    plain = re.sub(r"\.(?:layers?|blocks?|h)?\.?\d+(?=\.)", "", name).removesuffix(".weight")
    return plain, int(number[1]) if number else -1


def _tuned(before: WeightFiles, tuned: Path) -> tuple[TunedWeights, Sequence[str]]:
    """The tuned tensors, and the names to compare."""
    if (tuned / "adapter_config.json").is_file():
        from vlm_bridge.spectra.adapter_weights import AdapterWeights

        adapter = AdapterWeights(before, tuned)
        return adapter, adapter.changed
    after = open_weights(tuned)
    missing = [name for name in before.places if name not in after.places]
    added = [name for name in after.places if name not in before.places]
    if missing or added:
        shared = len(before.places) - len(missing)
        names = f"missing: {', '.join(missing[:3]) or 'none'}; others: {', '.join(added[:3]) or 'none'}"
        raise InvalidInputError(
            f"{tuned}: expected the tensors of {before.folder}, found {shared} of {len(before.places)} and "
            f"{len(added)} others ({names}). Name a model and what it was tuned to, both as transformers saves them."
        )
    return after, list(before.places)


def _matrices(before: WeightFiles, names: Sequence[str], config: SpectraConfig) -> list[str]:
    fits = [
        name
        for name in names
        if any(fnmatch(name, pattern) for pattern in config.include)
        and not any(fnmatch(name, pattern) for pattern in config.exclude)
        and len(before.places[name].shape) == 2
        and min(before.places[name].shape) > 1
    ]
    if not fits:
        raise InvalidInputError(
            f"Spectra: expected matrices to compare, found none among {len(names)} tensors under include "
            f"{config.include} and exclude {config.exclude}. Change the patterns."
        )
    whole = [name for name in fits if not before.places[name].floats]
    if whole:
        raise InvalidInputError(
            f"{before.folder}: expected weights of floats, found whole numbers in {len(whole)} matrices ({whole[0]}, "
            "...): the model is quantised. Name the model without quantisation."
        )
    return fits


def _compared(
    before: WeightFiles, after: TunedWeights, names: Sequence[str], config: SpectraConfig, progress: bool
) -> Iterator[tuple[Compared, Compared | None]]:
    generator = torch.Generator().manual_seed(0)
    for name in tqdm(names, desc="matrices", disable=not progress):
        old, new = before.read(name), after.read(name)
        if old.shape != new.shape:
            raise InvalidInputError(
                f"{name}: expected shape {tuple(old.shape)} in both models, found {tuple(new.shape)} after tuning. "
                f"Leave it out (--exclude {name!r}), or name a model of the same shapes."
            )
        compared = compare_matrix(name, old, new, top=config.top)
        noisy = None
        if config.control and compared.found.relative_change > 0:
            noise = torch.randn(old.shape, generator=generator)
            noise *= (new.float() - old.float()).norm() / noise.norm()
            noisy = compare_matrix(name, old.float(), old.float() + noise, top=config.top)
        yield compared, noisy
