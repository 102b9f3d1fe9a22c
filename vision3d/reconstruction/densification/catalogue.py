"""The densifiers by name."""

from __future__ import annotations

from collections.abc import Callable

from vision3d.errors import InvalidInputError
from vision3d.reconstruction.densification.default import DefaultConfig, DefaultDensifier
from vision3d.reconstruction.densification.densifier import Densifier
from vision3d.reconstruction.densification.fixed import FixedDensifier
from vision3d.reconstruction.densification.mcmc import McmcConfig, McmcDensifier

DensifierConfigs = tuple[McmcConfig, DefaultConfig]

DENSIFIERS: dict[str, Callable[[DensifierConfigs, int, int, float], Densifier]] = {
    "mcmc": lambda configs, steps, seed, scale: McmcDensifier(configs[0], steps=steps, seed=seed),
    "default": lambda configs, steps, seed, scale: DefaultDensifier(
        configs[1], steps=steps, scene_scale=scale, seed=seed
    ),
    "fixed": lambda configs, steps, seed, scale: FixedDensifier(),
}
"""Name -> maker from (configs, steps, seed, scene scale)."""


def make_densifier(name: str, configs: DensifierConfigs, *, steps: int, seed: int, scene_scale: float) -> Densifier:
    """The densifier called `name`.

    Raises:
        InvalidInputError: the name is unknown.
    """
    if name not in DENSIFIERS:
        raise InvalidInputError(f"Expected a densifier of {sorted(DENSIFIERS)}, found {name!r}. Choose one of these.")
    return DENSIFIERS[name](configs, steps, seed, scene_scale)
