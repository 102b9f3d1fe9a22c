"""`make_muon`: torch's Muon for the matrices between hidden layers, torch's AdamW for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch.optim import AdamW, Muon, Optimizer

from vlm_bridge.backbone.cpu_precision import cpu_has_bfloat16
from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.combined_optimizer import CombinedOptimizer
from vlm_bridge.optim.config import MuonConfig, OptimizerConfig
from vlm_bridge.optim.float32_muon import Float32Muon
from vlm_bridge.optim.parameter_roles import SortedParameter, parameter_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class MuonSplit:
    """Who trains what."""

    muon: tuple[SortedParameter, ...]
    """Matrices."""
    adamw: tuple[SortedParameter, ...]
    """All others."""


def split_for_muon(parameters: Sequence[SortedParameter]) -> MuonSplit:
    """Matrices of linear layers on one side; embeddings, heads, kernels, tables and vectors on the other.

    Raises:
        InvalidInputError: a matrix belongs to no linear layer, so that its role must be said; or there is no matrix.
    """
    unclear = [one.name for one in parameters if one.role == "table" and one.parameter.ndim == 2]
    if unclear:
        raise InvalidInputError(
            f"Muon: expected matrices of linear layers, found {len(unclear)} of other modules ({', '.join(unclear[:5])}"
            f"{', ...' if len(unclear) > 5 else ''}). Say what they are in `roles`: `matrix` for Muon, `embedding` or "
            "`vector` for AdamW."
        )
    muon = tuple(one for one in parameters if one.role == "matrix")
    deep = [one.name for one in muon if one.parameter.ndim != 2]
    if deep or not muon:
        raise InvalidInputError(
            f"Muon: expected at least one matrix, each of two dimensions, found {len(muon)}, of other dimensions "
            f"{deep[:5]}. Give the latter the role `kernel`, or use AdamW."
        )
    return MuonSplit(muon=muon, adamw=tuple(one for one in parameters if one.role != "matrix"))


def make_muon(parameters: Sequence[SortedParameter], config: OptimizerConfig) -> Optimizer:
    """One optimiser over both; groups of Muon come first.

    Newton-Schulz steps cost 20 m^2 n + 10 m^3 operations for a matrix of m <= n, whatever the batch: 5 m / T of a
    training step with T tokens for a square matrix. With few tokens to a step, accumulate gradients.

    Raises:
        InvalidInputError: as `split_for_muon`.

    Source:
        Jordan et al., Muon (2024); the scale `match_rms_adamw`: Liu et al. (arXiv:2502.16982), section 2.2.
    """
    split, settings = split_for_muon(parameters), config.muon
    make = Float32Muon if _in_float32(split, settings) else Muon
    members: list[Optimizer] = [
        make(
            parameter_groups(split.muon, config.weight_decay, config.learning_rate),
            lr=config.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            ns_steps=settings.iterations,
            adjust_lr_fn=settings.scale,
        )
    ]
    if split.adamw:
        rate = config.learning_rate if settings.other_learning_rate is None else settings.other_learning_rate
        members.append(
            AdamW(
                parameter_groups(split.adamw, config.weight_decay, rate),
                lr=rate,
                betas=config.betas,
                eps=config.eps,
            )
        )
    return CombinedOptimizer(members)


def _in_float32(split: MuonSplit, settings: MuonConfig) -> bool:
    if settings.precision != "auto":
        return settings.precision == "float32"
    on_cpu = all(one.parameter.device.type == "cpu" for one in split.muon)
    return on_cpu and not cpu_has_bfloat16()
