"""`CombinedOptimizer`: several optimisers, each with parameters of its own, that look like one.

Its groups and its state are the very objects its members work on. So schedules, gradient scalers, checkpoints and
transformers' Trainer treat it as any other optimiser, and a learning rate set on a group reaches the member.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from vlm_bridge.errors import InvalidInputError


class CombinedOptimizer(Optimizer):
    """Groups of all members, one after the other.

    Example:
        >>> first, second = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
        >>> both = CombinedOptimizer([torch.optim.SGD([first], lr=1.0), torch.optim.SGD([second], lr=0.5)])
        >>> (first + second).sum().backward()
        >>> both.step()
        >>> first.tolist(), second.tolist()
        ([0.0, 0.0], [0.5, 0.5])
    """

    members: list[Optimizer]

    def __init__(self, members: Sequence[Optimizer]) -> None:
        """Take over members that have made no step yet.

        Raises:
            InvalidInputError: no member, or one with a state, which would be lost.
        """
        if not members or any(member.state for member in members):
            raise InvalidInputError(
                f"Optimiser: expected members without a state, found {len(members)} members, some that have made "
                "steps. Combine them first, and load their common state then."
            )
        self.members = []
        # Some schedules ask the defaults for a learning rate; every group has its own already.
        rate = {"lr": members[0].defaults["lr"]}
        super().__init__([group for member in members for group in member.param_groups], rate)
        self.members = list(members)
        self._share([len(member.param_groups) for member in members])

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step of every member; `closure` is called once, before the first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self.members:
            member.step()
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Only while the optimiser is made.

        Raises:
            InvalidInputError: later; no member could be told to be meant.
        """
        if self.members:
            raise InvalidInputError(
                f"Optimiser: expected the groups it was made with, found another one of {len(param_group['params'])} "
                "parameters. Make a new optimiser when other parameters are to learn."
            )
        super().add_param_group(param_group)

    def __getstate__(self) -> dict[str, Any]:
        """For copies: members share groups and state with the copy as they do here."""
        return super().__getstate__() | {"members": self.members}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Also what loading a state ends with."""
        super().__setstate__(state)
        self._share([len(member.param_groups) for member in self.members])

    def _share(self, counts: Sequence[int]) -> None:
        first = 0
        for member, count in zip(self.members, counts, strict=True):
            member.param_groups = self.param_groups[first : first + count]
            member.state = self.state
            first += count
