"""`MLorc`: AdamW or Lion whose momenta are kept as factors of low rank between steps.

A step rebuilds the momenta of one matrix, takes the whole gradient into them, moves the weights by the result, and
compresses it for the next step. What is lost is lost from the past only: the update itself has full rank, and the first
step is that of AdamW or Lion at any rank. Vectors, and matrices whose factors would be larger than they are, keep whole
momenta.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.moment_rules import MOMENT_RULES, MomentRule, nonnegative
from vlm_bridge.optim.randomized_svd import Factors, randomized_svd

ADAMW_BETAS = (0.9, 0.999)
LION_BETAS = (0.95, 0.98)
_PARTS = ("left", "scale", "right")
_STATE_DTYPES = {None: None, "float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class MLorcConfig:
    """How momenta are compressed."""

    variant: Literal["adamw", "lion"] = "adamw"
    """What is compressed: both moments of AdamW, or the one of Lion."""
    rank: int = 4
    """Of the factors; 0 keeps whole momenta, which is AdamW or Lion as they are."""
    vectors: Literal["adamw", "variant"] = "adamw"
    """What trains parameters of fewer than two dimensions; matters to the variant lion only."""
    store: Literal["smaller", "factors"] = "smaller"
    """`smaller`: whole momenta where factors would be no smaller; `factors`: always factors."""
    oversample: int = 4
    """Directions drawn beside those kept."""
    iterations: int = 1
    """Times the drawn directions are sent through the momentum and back."""
    state_dtype: Literal["float32", "bfloat16"] | None = None
    """Of what is kept between steps; None: float64 for float64 parameters, float32 for all others."""
    seed: int = 0
    """Of the directions drawn; replicas of one model need the same."""

    def __post_init__(self) -> None:
        counts = (self.rank, self.oversample, self.iterations)
        if min(counts) < 0 or not 0 <= self.seed < 2**63:
            raise InvalidInputError(
                f"MLorc: expected rank, oversample and iterations >= 0 and 0 <= seed < 2^63, found {counts} and "
                f"{self.seed}. Change them."
            )
        if self.variant not in MOMENT_RULES or self.state_dtype not in _STATE_DTYPES:
            raise InvalidInputError(
                f"MLorc: expected a variant among {', '.join(MOMENT_RULES)} and a state_dtype of float32, bfloat16 or "
                f"None, found {self.variant!r} and {self.state_dtype!r}. Choose among them."
            )


class MLorc(Optimizer):
    """AdamW or Lion with compressed momenta, for parameters of any shape.

    Tensors of more than two dimensions are matrices of their first dimension by all others. Directions are drawn from
    seed, step and place of a parameter alone, not from the global generator: replicas that see the same gradients stay
    equal, and a resumed run goes on bit for bit.

    Each option of `config` may be given for a group too.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(8, 6))
        >>> optimizer = MLorc([weight], lr=0.1, config=MLorcConfig(rank=1))
        >>> weight.grad = torch.ones(8, 6)
        >>> optimizer.step()
        >>> round(float(weight.detach().mean()), 3)
        0.9

    Source:
        Shen et al., MLorc (arXiv:2506.01897), algorithms 1 and 2. Differences from the authors' code: eps is added
        after the bias correction and weights decay before the step, as torch's AdamW has it; vectors are trained rather
        than left out; the sketch has four more directions than are kept, and is made orthonormal between passes.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        *,
        betas: tuple[float, float] | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        config: MLorcConfig = MLorcConfig(),
    ) -> None:
        """Without `betas` they are (0.9, 0.999) for AdamW and (0.95, 0.98) for Lion.

        Raises:
            InvalidInputError: a number is out of range.
        """
        if betas is None:
            betas = ADAMW_BETAS if config.variant == "adamw" else LION_BETAS
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise InvalidInputError(
                f"MLorc: expected lr, eps and weight_decay >= 0 and betas in [0, 1), found {lr}, {eps}, {weight_decay} "
                f"and {betas}. Change them."
            )
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, **asdict(config)}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; returns what `closure` returned.

        Raises:
            InvalidInputError: a gradient is not finite or is sparse; no parameter has been moved then.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, parameter, _ in self._numbered():
            if parameter.grad is not None:
                _check_gradient(number, parameter.grad)
        for number, parameter, group in self._numbered():
            if parameter.grad is not None:
                self._move(number, parameter, parameter.grad, group)
        return loss

    @contextmanager
    def moving_in_backward(self) -> Iterator[None]:
        """Within, `backward` moves each parameter as soon as its gradient is there, and frees the gradient.

        One gradient is alive at a time. `step` has nothing left to do, and may be called for the schedule's sake. This
        cannot go together with gradients that are accumulated over passes, scaled, shortened to a common norm, or
        averaged over processes: all of these need every gradient before the first parameter moves.
        """
        handles = [
            parameter.register_post_accumulate_grad_hook(self._mover(number))
            for number, parameter, _ in self._numbered()
            if parameter.requires_grad
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def moments(self, parameter: Tensor) -> dict[str, Tensor]:
        """The momenta of a parameter as its next step will find them: `mean`, and `square` for AdamW."""
        group = next(group for _, held, group in self._numbered() if held is parameter)
        return self._load(parameter, group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state, which may have been saved from another device."""
        super().load_state_dict(state_dict)
        # The base class has cast all of it to the parameter's type, which loses digits of float32 beside bfloat16.
        numbers = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        for number, (_, parameter, _) in zip(numbers, self._numbered(), strict=True):
            for name, value in state_dict["state"].get(number, {}).items():
                if isinstance(value, Tensor):
                    self.state[parameter][name] = value.to(parameter.device, copy=True)

    def _numbered(self) -> Iterator[tuple[int, Tensor, dict[str, Any]]]:
        """Place, parameter and group of each parameter."""
        pairs = ((parameter, group) for group in self.param_groups for parameter in group["params"])
        for number, (parameter, group) in enumerate(pairs):
            yield number, parameter, group

    def _mover(self, number: int) -> Callable[[Tensor], None]:
        @torch.no_grad()
        def move(parameter: Tensor) -> None:
            group = next(group for place, _, group in self._numbered() if place == number)
            if parameter.grad is not None:
                _check_gradient(number, parameter.grad)
                self._move(number, parameter, parameter.grad, group)
                parameter.grad = None

        return move

    def _move(self, number: int, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        rule, state = _rule(parameter, group), self.state[parameter]
        if rule is not MOMENT_RULES[group["variant"]]:
            group = group | {"betas": ADAMW_BETAS}
        moments = self._load(parameter, group)
        step = state.get("step", 0) + 1
        dtype = _working_dtype(parameter)
        weights = parameter.to(dtype)  # itself where it has the type already
        rule.step(weights, gradient.to(dtype), moments, group, step)
        if weights is not parameter:
            parameter.copy_(weights)
        state["step"] = step
        kept = _STATE_DTYPES[group["state_dtype"]] or dtype
        for place, (name, moment) in enumerate(moments.items()):
            if not _is_factored(parameter, group):
                state[name] = moment.to(kept)
                continue
            factors = randomized_svd(
                moment.reshape(len(moment), -1),
                group["rank"],
                generator=_generator(group["seed"], number, step, place),
                oversample=group["oversample"],
                iterations=group["iterations"],
            )
            for part in _PARTS:
                state[f"{name}_{part}"] = getattr(factors, part).to(kept).contiguous()

    def _load(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        rule, state, dtype = _rule(parameter, group), self.state[parameter], _working_dtype(parameter)
        if "step" not in state:
            return {name: torch.zeros_like(parameter, dtype=dtype) for name in rule.moments}
        if not _is_factored(parameter, group):
            return {name: state[name].to(dtype) for name in rule.moments}
        moments = {}
        for name in rule.moments:
            factors = Factors(**{part: state[f"{name}_{part}"].to(dtype) for part in _PARTS})
            moment = factors.matrix().view(parameter.shape)
            moments[name] = nonnegative(moment) if name in rule.nonnegative else moment
        return moments


def _rule(parameter: Tensor, group: dict[str, Any]) -> MomentRule:
    is_vector = parameter.ndim < 2 and group["vectors"] == "adamw"
    return MOMENT_RULES["adamw" if is_vector else group["variant"]]


def _is_factored(parameter: Tensor, group: dict[str, Any]) -> bool:
    if parameter.ndim < 2 or group["rank"] == 0 or parameter.numel() == 0:
        return False
    rows, columns = len(parameter), parameter.numel() // len(parameter)
    rank = min(group["rank"], rows, columns)
    return group["store"] == "factors" or rank * (rows + columns + 1) < rows * columns


def _working_dtype(parameter: Tensor) -> torch.dtype:
    return torch.float64 if parameter.dtype == torch.float64 else torch.float32


def _generator(*numbers: int) -> torch.Generator:
    # Mixed, since the generator looks at 32 bits of its seed only.
    digest = hashlib.blake2b(struct.pack(f"<{len(numbers)}q", *numbers), digest_size=4).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))


def _check_gradient(number: int, gradient: Tensor) -> None:
    if gradient.is_sparse or gradient.is_complex():
        raise InvalidInputError(
            f"MLorc: expected a dense gradient of real numbers, found {gradient.layout} of {gradient.dtype} for "
            f"parameter {number}. Make the embedding dense (sparse=False), or train it by another optimiser."
        )
    largest = torch.linalg.vector_norm(gradient, ord=math.inf) if gradient.numel() else gradient.sum()
    if not torch.isfinite(largest):
        raise InvalidInputError(
            f"MLorc: expected a finite gradient, found NaN or infinity for parameter {number} of shape "
            f"{tuple(gradient.shape)}. Lower the learning rate, or leave this step out."
        )
