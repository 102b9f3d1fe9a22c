"""`FreezePolicy`: which of vision, connector and language learn, and the proof that an optimizer holds just these.

In reinforcement learning a frozen connector is refused: toolkits that freeze it by default lose such runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn
from torch.optim import Optimizer

from vlm_bridge.errors import BackboneError, InvalidInputError

_log = logging.getLogger(__name__)
_PARTS = ("vision", "connector", "language")


@runtime_checkable
class ModelParts(Protocol):
    """The three modules of a backbone; they share no parameter."""

    @property
    def vision(self) -> nn.Module:
        """Sees."""
        ...

    @property
    def connector(self) -> nn.Module:
        """Makes visual tokens."""
        ...

    @property
    def language(self) -> nn.Module:
        """Speaks; with embeddings and head."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezePolicy:
    """True where a part learns, False where it is frozen."""

    vision: bool
    connector: bool
    language: bool


PRESETS: dict[str, FreezePolicy] = {
    # The tuning after reinforcement learning that kept what was learned (arXiv:2507.06167, section 5.2 and table 2).
    "connector_only": FreezePolicy(vision=False, connector=True, language=False),
    # Supervised: InternVL3 freezes the vision tower of its larger models.
    "sft_default": FreezePolicy(vision=False, connector=True, language=True),
    "sft_all": FreezePolicy(vision=True, connector=True, language=True),
    # Reinforcement learning as in arXiv:2507.06167; with frozen vision it is nearly as good.
    "rl_all": FreezePolicy(vision=True, connector=True, language=True),
    "rl_freeze_vision": FreezePolicy(vision=False, connector=True, language=True),
    "language_only": FreezePolicy(vision=False, connector=False, language=True),
    "vision_and_connector": FreezePolicy(vision=True, connector=True, language=False),
    # For adapters, which bring tensors of their own.
    "nothing": FreezePolicy(vision=False, connector=False, language=False),
}
"""Policies by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainableCount:
    """Numbers that learn in each part, a shared tensor counted once, and all numbers there are."""

    vision: int
    connector: int
    language: int
    total: int
    """Of all parts, frozen ones included."""

    @property
    def learning(self) -> int:
        """Of all parts together."""
        return self.vision + self.connector + self.language


def apply_policy(parts: ModelParts, policy: FreezePolicy) -> TrainableCount:
    """Let the parts learn that the policy names, freeze the others, and log how many numbers learn.

    Modes of training and evaluation are left as they are. Head and embeddings that are one tensor are one.

    Raises:
        BackboneError: two parts share a tensor, or one that should learn holds whole numbers (a quantised part).
    """
    named = _named_tensors(parts)
    for name, tensor in named.items():
        if _learns(name, policy) and not (tensor.is_floating_point() or tensor.is_complex()):
            raise BackboneError(
                f"Freeze policy: expected floats in a part that learns, found {tensor.dtype} in {name}. Load the model "
                "without quantisation, or freeze this part and use adapters."
            )
    for name, tensor in named.items():
        tensor.requires_grad_(_learns(name, policy))
    sizes = {part: 0 for part in _PARTS}
    for name, tensor in named.items():
        sizes[_part(name)] += tensor.numel() if tensor.requires_grad else 0
    count = TrainableCount(**sizes, total=sum(tensor.numel() for tensor in named.values()))
    _log.info(
        "Learning: vision %d, connector %d, language %d; together %d of %d",
        *(count.vision, count.connector, count.language, count.learning, count.total),
    )
    return count


def check_optimizer(
    optimizer: Optimizer, parts: ModelParts, policy: FreezePolicy, also: Iterable[nn.Parameter] = ()
) -> None:
    """Prove that the optimizer holds each tensor that the policy lets learn, and no other one.

    Args:
        optimizer: In use or about to be.
        parts: The model; its tensors must be the very ones the optimizer holds.
        policy: What should learn.
        also: Tensors that learn beside the policy: those of a mask decoder, or an embedding of which some rows learn.

    Raises:
        BackboneError: a tensor is missing, is held although it should not be, or is held but needs no gradient; the
            message names them.
    """
    named = {id(tensor): (name, tensor) for name, tensor in _named_tensors(parts).items()}
    held = {id(tensor): tensor for group in optimizer.param_groups for tensor in group["params"]}
    intended = {key: tensor for key, (name, tensor) in named.items() if _learns(name, policy)}
    intended |= {id(tensor): tensor for tensor in also}

    def names(tensors: Mapping[int, nn.Parameter], chosen: Iterable[int]) -> list[str]:
        outside = {key: f"of no part, of shape {tuple(tensors[key].shape)}" for key in chosen if key not in named}
        return sorted(outside[key] if key in outside else named[key][0] for key in chosen)

    missing = names(intended, intended.keys() - held.keys())
    extra = names(held, held.keys() - intended.keys())
    frozen = names(intended, {key for key in intended if key in held and not held[key].requires_grad})
    faults = [
        f"{what} {len(found)} ({', '.join(found[:8])}{', ...' if len(found) > 8 else ''})"
        for what, found in (("missing", missing), ("too many", extra), ("without gradient", frozen))
        if found
    ]
    if faults:
        raise BackboneError(
            f"Optimizer: expected exactly the {len(intended)} tensors that learn under {policy}, found {len(held)}: "
            f"{'; '.join(faults)}. Call apply_policy first, and give the optimizer the parameters that need gradients."
        )


def for_rl(policy: FreezePolicy) -> FreezePolicy:
    """The policy, if reinforcement learning can go on under it.

    Example:
        >>> for_rl(PRESETS["rl_freeze_vision"]).vision
        False

    Raises:
        InvalidInputError: the connector is frozen.

    Source:
        Skywork-R1V3 (arXiv:2507.06167), section 5.2.
    """
    if not policy.connector:
        raise InvalidInputError(
            f"Reinforcement learning: expected a connector that learns, found {policy}. With a frozen connector "
            "rewards fall quickly, gradients become unstable and answers end in repeated junk (arXiv:2507.06167, "
            "section 5.2). Use rl_all or rl_freeze_vision."
        )
    return policy


def _named_tensors(parts: ModelParts) -> dict[str, nn.Parameter]:
    """Every parameter once, by part and name."""
    named: dict[str, nn.Parameter] = {}
    owners: dict[int, str] = {}
    for name, tensor in _all_tensors(parts):
        first = owners.setdefault(id(tensor), name)
        if first != name:  # within a part torch names a tensor once
            raise BackboneError(
                f"Freeze policy: expected parts that share no tensor, found one that is both {first} and {name}. "
                "Untie them, or count it to one part."
            )
        named[name] = tensor
    return named


def _all_tensors(parts: ModelParts) -> Iterator[tuple[str, nn.Parameter]]:
    modules = (parts.vision, parts.connector, parts.language)
    for part, module in zip(_PARTS, modules, strict=True):
        for name, tensor in module.named_parameters():
            yield f"{part}.{name}", tensor


def _part(name: str) -> str:
    return name.partition(".")[0]


def _learns(name: str, policy: FreezePolicy) -> bool:
    return {"vision": policy.vision, "connector": policy.connector, "language": policy.language}[_part(name)]
