"""`OPTIMIZERS`: optimisers by name, and `make_optimizer`, which makes one for a model.

AdamW, Adafactor and Muon are torch's. Lion is MLorc's with whole momenta: neither torch nor transformers has one of its
own. GaLore is not here, since the only package that transformers would take it from had its last release in 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn
from torch.optim import Adafactor, AdamW, Optimizer

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.mlorc import MLorc
from vlm_bridge.optim.muon import make_muon
from vlm_bridge.optim.parameter_roles import ParameterHints, SortedParameter, parameter_groups, sort_parameters

OptimizerMaker = Callable[[Sequence[SortedParameter], OptimizerConfig], Optimizer]


def make_adamw(parameters: Sequence[SortedParameter], config: OptimizerConfig) -> Optimizer:
    """AdamW."""
    groups = parameter_groups(parameters, config.weight_decay, config.learning_rate)
    return AdamW(groups, lr=config.learning_rate, betas=config.betas, eps=config.eps)


def make_adafactor(parameters: Sequence[SortedParameter], config: OptimizerConfig) -> Optimizer:
    """Adafactor: a second moment of rows and columns, no first one; steps are relative to a parameter's size."""
    return Adafactor(parameter_groups(parameters, config.weight_decay, config.learning_rate), lr=config.learning_rate)


def make_lion(parameters: Sequence[SortedParameter], config: OptimizerConfig) -> Optimizer:
    """Lion, for every parameter; its learning rate is a third to a tenth of AdamW's."""
    settings = replace(config.mlorc, variant="lion", rank=0, vectors="variant")
    groups = parameter_groups(parameters, config.weight_decay, config.learning_rate)
    return MLorc(groups, config.learning_rate, betas=config.lion_betas, eps=config.eps, config=settings)


def make_mlorc_adamw(parameters: Sequence[SortedParameter], config: OptimizerConfig) -> Optimizer:
    """AdamW whose momenta of matrices are factors of low rank."""
    return _mlorc(parameters, config, "adamw", config.betas)


def make_mlorc_lion(parameters: Sequence[SortedParameter], config: OptimizerConfig) -> Optimizer:
    """Lion whose momentum of matrices is a product of factors; everything else is AdamW's, at the same rate."""
    return _mlorc(parameters, config, "lion", config.lion_betas)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerMember:
    """One entry."""

    make: OptimizerMaker
    """Makes it for sorted parameters."""
    what: str
    """One line for a list."""


OPTIMIZERS: dict[str, OptimizerMember] = {
    "adamw": OptimizerMember(make=make_adamw, what="torch's; keeps two numbers for each that learns"),
    "adafactor": OptimizerMember(make=make_adafactor, what="torch's; keeps rows and columns; steps grow with weights"),
    "lion": OptimizerMember(make=make_lion, what="keeps one number for each that learns; rates 3 to 10 times lower"),
    "muon": OptimizerMember(make=make_muon, what="torch's; orthogonal steps for matrices, AdamW for the rest"),
    "mlorc_adamw": OptimizerMember(make=make_mlorc_adamw, what="AdamW with momenta of matrices as low-rank factors"),
    "mlorc_lion": OptimizerMember(make=make_mlorc_lion, what="Lion with the momentum of matrices as low-rank factors"),
}
"""Member by name. A new one is a line here, and the shared tests run on it."""


def make_optimizer(
    model: nn.Module,
    name: str,
    config: OptimizerConfig = OptimizerConfig(),
    without_decay: Collection[str] = (),
    hints: ParameterHints = ParameterHints(),
) -> Optimizer:
    """The optimiser of that name for what learns in a model.

    Example:
        >>> optimizer = make_optimizer(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), "muon")
        >>> [len(group["params"]) for group in optimizer.param_groups]
        [2, 2]

    Args:
        model: Its parameters that want a gradient are taken.
        name: In `OPTIMIZERS`; a hyphen counts as the underscore.
        config: Settings.
        without_decay: Names of parameters that do not decay, besides vectors.
        hints: What is known of single parameters; see `adapter_hints` of the adapters' room.

    Raises:
        InvalidInputError: the name is unknown, nothing learns, or an override of roles fits nothing.
    """
    make = OPTIMIZERS[optimizer_name(name)].make
    parameters = sort_parameters(model, without_decay=without_decay, overrides=dict(config.roles), hints=hints)
    if not parameters:
        raise InvalidInputError(
            "Optimiser: expected parameters that want a gradient, found none. Apply a freeze policy under which some "
            "part learns."
        )
    return make(parameters, config)


def optimizer_name(name: str) -> str:
    """The name as the catalogue has it, `mlorc_adamw` for `mlorc-adamw` too.

    Raises:
        InvalidInputError: no optimiser is called so.
    """
    known = name.replace("-", "_")
    if known not in OPTIMIZERS:
        raise InvalidInputError(f"Optimiser: expected one of {', '.join(OPTIMIZERS)}, found {name!r}. Choose one.")
    return known


def trainer_optimizer(
    name: str, config: OptimizerConfig = OptimizerConfig(), without_decay: Collection[str] = ()
) -> tuple[Any, dict[str, Any]]:
    """The same, as transformers' Trainer takes it: `Trainer(..., optimizer_cls_and_kwargs=trainer_optimizer("muon"))`.

    The learning rates are those of `config`, which the Trainer's schedule multiplies; `TrainingArguments.learning_rate`
    is not looked at.
    """
    return lambda: make_optimizer, {"name": name, "config": config, "without_decay": without_decay}


def _mlorc(
    parameters: Sequence[SortedParameter],
    config: OptimizerConfig,
    variant: Literal["adamw", "lion"],
    betas: tuple[float, float],
) -> Optimizer:
    compressed = ("matrix", "kernel", "embedding", "head") if config.compress_embeddings else ("matrix", "kernel")
    factored = [one for one in parameters if one.role in compressed]
    whole = [one for one in parameters if one.role not in compressed]
    rate = config.learning_rate
    groups = [
        *parameter_groups(factored, config.weight_decay, rate, {"betas": betas}),
        *parameter_groups(whole, config.weight_decay, rate, {"betas": config.betas, "rank": 0, "variant": "adamw"}),
    ]
    settings = replace(config.mlorc, variant=variant)
    return MLorc(groups, config.learning_rate, betas=betas, eps=config.eps, config=settings)
