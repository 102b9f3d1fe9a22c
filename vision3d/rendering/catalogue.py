"""The renderers by name, and the choice between them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import torch

from vision3d.errors import InvalidInputError
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.dense_renderer import DenseRenderer
from vision3d.rendering.gsplat_door import gsplat_version
from vision3d.rendering.gsplat_renderer import GsplatRenderer
from vision3d.rendering.renderer import Renderer

RENDERERS: dict[str, Callable[[], Renderer]] = {
    "cpu": CpuRenderer,
    "gsplat": GsplatRenderer,
    "dense": DenseRenderer,
}
"""Name -> renderer. `dense` is the slow reference the others are tested against."""

_log = logging.getLogger(__name__)


def choose_renderer(device: torch.device | str, name: str = "auto") -> Renderer:
    """The renderer called `name`; `auto` takes gsplat on CUDA and the CPU renderer elsewhere, and logs which.

    Raises:
        InvalidInputError: the name is unknown, or the renderer cannot run on `device`.
    """
    device = torch.device(device)
    if name != "auto" and name not in RENDERERS:
        raise InvalidInputError(f"Expected a renderer of {['auto', *RENDERERS]}, found {name!r}. Choose one of these.")
    chosen = ("gsplat" if device.type == "cuda" else "cpu") if name == "auto" else name
    if chosen == "gsplat" and (device.type != "cuda" or gsplat_version() is None):
        raise InvalidInputError(
            f"Expected a CUDA device and an installed gsplat for the gsplat renderer, found device {device} and gsplat "
            f"{gsplat_version()}. Use the cpu renderer, or install gsplat and move the scene to CUDA."
        )
    if chosen == "cpu" and device.type != "cpu":
        raise InvalidInputError(
            f"Expected tensors on the CPU for the cpu renderer, found device {device}. Move the scene or use gsplat."
        )
    say_once(chosen, str(device))
    return RENDERERS[chosen]()


@functools.cache
def say_once(name: str, device: str) -> None:
    """Log which renderer was taken, once per process and choice."""
    _log.info("renderer: %s (device %s)", name, device)
