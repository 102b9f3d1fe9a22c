"""`sort_parameters`: what each parameter of a model is, so that each is trained by what suits it.

Muon is made for matrices between hidden layers. Embeddings and tables are matrices by shape only, being collections of
vectors, and the head is known to do better with AdamW. torch's Muon takes any matrix it is given, so the choice is made
here, by the module that a parameter belongs to and not by its shape.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Literal

from torch import nn

from vlm_bridge.errors import InvalidInputError

Role = Literal["matrix", "embedding", "head", "kernel", "table", "vector"]
ROLES: tuple[Role, ...] = ("matrix", "embedding", "head", "kernel", "table", "vector")
"""Weight of a linear layer; embedding; output layer; weight of a convolution; other tensor of two and more dimensions
(positions, classes); bias, scale or norm."""
_KERNELS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedParameter:
    """A parameter that learns."""

    name: str
    parameter: nn.Parameter
    role: Role
    decays: bool
    """Whether weight decay acts on it."""
    rate: float = 1.0
    """Its learning rate as a multiple of the others'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterHints:
    """What is known of single parameters, by name, beside what their modules say; adapters bring such knowledge."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    """Role of a parameter that belongs to no module of a known kind."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Learning rate as a multiple of the others'; such a parameter does not decay."""


def sort_parameters(
    model: nn.Module,
    *,
    without_decay: Collection[str] = (),
    overrides: Mapping[str, Role] | None = None,
    hints: ParameterHints = ParameterHints(),
) -> list[SortedParameter]:
    """Every parameter that wants a gradient, once, with its role; a tied head is an embedding.

    Tensors of two and more dimensions decay, less those named in `without_decay`, as in supervised fine-tuning.

    Example:
        >>> model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
        >>> [(one.name, one.role, one.decays) for one in sort_parameters(model)]
        [('0.weight', 'embedding', True), ('1.weight', 'matrix', True), ('1.bias', 'vector', False)]

    Args:
        model: Of any kind; output layers are those its parts give as `get_output_embeddings`.
        without_decay: Names of parameters.
        overrides: Pattern of a name (`*.wqkv.weight`) -> role; the first that fits wins over what is found.
        hints: Roles that win over what is found but not over `overrides`, and rates.

    Raises:
        InvalidInputError: an override names no role, or fits no parameter.
    """
    said: Mapping[str, Role] = overrides or {}
    named = {name: value for name, value in model.named_parameters() if value.requires_grad}
    _check_overrides(said, named)
    found = _roles_by_owner(model)
    rows = []
    for name, value in named.items():
        role: Role = found.get(id(value), "vector" if value.ndim < 2 else "table")
        role = _overridden(name, hints.roles.get(name, role), said)
        decays = value.ndim > 1 and name not in without_decay and name not in hints.rates
        rate = hints.rates.get(name, 1.0)
        rows.append(SortedParameter(name=name, parameter=value, role=role, decays=decays, rate=rate))
    return rows


def parameter_groups(
    parameters: Iterable[SortedParameter],
    weight_decay: float,
    learning_rate: float,
    options: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Groups for an optimiser: those that decay and those that do not, each with `options`; empty ones are left out.

    Parameters with a rate of their own are groups by themselves, at that multiple of `learning_rate`.
    """
    chosen: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for one in parameters:
        chosen.setdefault((not one.decays, one.rate), []).append(one.parameter)
    return [
        {
            "params": held,
            "weight_decay": 0.0 if still else weight_decay,
            "lr": learning_rate * rate,
            **(options or {}),
        }
        for (still, rate), held in sorted(chosen.items(), key=lambda pair: pair[0])
    ]


def _roles_by_owner(model: nn.Module) -> dict[int, Role]:
    """Role of each parameter that a module of a known kind owns; embedding wins over head, and head over matrix."""
    matrices: dict[int, Role] = {}
    heads: dict[int, Role] = {}
    embeddings: dict[int, Role] = {}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.ndim > 1:
            if isinstance(module, _EMBEDDINGS):
                embeddings[id(weight)] = "embedding"
            elif isinstance(module, _KERNELS):
                matrices[id(weight)] = "kernel"
            elif isinstance(module, nn.Linear):
                matrices[id(weight)] = "matrix"
        head = getattr(module, "get_output_embeddings", lambda: None)()
        if head is not None and isinstance(getattr(head, "weight", None), nn.Parameter):
            heads[id(head.weight)] = "head"
    return matrices | heads | embeddings


def _overridden(name: str, role: Role, overrides: Mapping[str, Role]) -> Role:
    for pattern, wanted in overrides.items():
        if fnmatch(name, pattern):
            return wanted
    return role


def _check_overrides(overrides: Mapping[str, Any], named: Mapping[str, nn.Parameter]) -> None:
    for pattern, role in overrides.items():
        if role not in ROLES:
            raise InvalidInputError(
                f"Roles: expected one of {', '.join(ROLES)} for {pattern!r}, found {role!r}. Choose one of them."
            )
        if not any(fnmatch(name, pattern) for name in named):
            raise InvalidInputError(
                f"Roles: expected a pattern that fits a parameter which learns, found {pattern!r}, which fits none of "
                f"{len(named)}. Compare it with the names of model.named_parameters()."
            )
