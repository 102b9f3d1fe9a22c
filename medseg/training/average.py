"""`RunningAverage`: an exponential mean of weights along a training, which segments better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_DOT = "__"


class RunningAverage(nn.Module):
    """Means of tensors by name; those that hold no floats are the last ones.

    They are buffers, so that a checkpoint keeps them like those of any module.
    """

    def __init__(self, tensors: Mapping[str, Tensor], decay: float) -> None:
        """Starts from `tensors`, which go on being the model's own; `decay` is the share of the past."""
        super().__init__()
        self.decay = decay
        self._tensors = dict(tensors)
        for name, value in tensors.items():
            self.register_buffer(name.replace(".", _DOT), value.detach().clone())

    @torch.no_grad()
    def take_in(self, step: int) -> None:
        """The weights after `step` steps; early ones count for more, so that the start is soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self._tensors.items():
            mean = self.get_buffer(name.replace(".", _DOT))
            if mean.is_floating_point():
                mean.lerp_(value.detach().to(mean), 1 - decay)
            else:
                mean.copy_(value)

    @torch.no_grad()
    def restart(self) -> None:
        """Forget the past: the means are the model's weights as they are now."""
        for name, value in self._tensors.items():
            self.get_buffer(name.replace(".", _DOT)).copy_(value)

    @torch.no_grad()
    def put(self) -> None:
        """Give the model the means for good."""
        for name, value in self._tensors.items():
            value.copy_(self.get_buffer(name.replace(".", _DOT)))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the model has the means; afterwards, bit for bit, its own."""
        own = {name: value.detach().clone() for name, value in self._tensors.items()}
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in self._tensors.items():
                    value.copy_(own[name])
