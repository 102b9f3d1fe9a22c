"""The one door to gsplat: every use of the library goes through these functions.

gsplat has no CPU path and starts a CUDA build on first use, so its kernels are reached only on tensors that already
live on a CUDA device. Only public calls that exist in both 1.4.0 and 1.5.3 are used.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from types import ModuleType
from typing import Any

import torch

from vision3d.errors import InvalidInputError, MissingDependencyError


def gsplat_version() -> str | None:
    """The installed version of gsplat, `of unknown version` for a bare source folder, or None; does not import it."""
    if importlib.util.find_spec("gsplat") is None:
        return None
    try:
        return importlib.metadata.version("gsplat")
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def import_gsplat(device: torch.device) -> ModuleType:
    """gsplat, for tensors on `device`.

    Raises:
        InvalidInputError: the device is not CUDA; gsplat would fail or start a build that cannot work.
        MissingDependencyError: gsplat is not installed.
    """
    if device.type != "cuda" or not torch.cuda.is_available():
        raise InvalidInputError(
            f"gsplat: expected tensors on a CUDA device, found {device} (CUDA available: {torch.cuda.is_available()}). "
            "Use the cpu renderer there; choose_renderer does so by itself."
        )
    return _load("gsplat")


def make_default_strategy(**settings: Any) -> Any:
    """gsplat's `DefaultStrategy` (pure torch: it also runs on CPU tensors).

    The opacity reset of 1.5.3 never fires (`step % every == 0 & step > 0` is a chained comparison) and the one of 1.4.0
    fires at step 0 too, so the reset is put off here for every version and `reconstruction` does it itself, alike on
    all of them. Callers must not pass step 0.
    """
    return _load("gsplat.strategy").DefaultStrategy(**settings, reset_every=10**9, verbose=False)


def _load(name: str) -> ModuleType:
    if gsplat_version() is None:
        raise MissingDependencyError(
            "gsplat is needed for rendering on CUDA and for its densification strategies, but it is not installed. "
            "Run: pip install 'vision3d-medseg[vision3d]'"
        )
    return importlib.import_module(name)
