"""What every test stands on: no network, fixed seeds, checked array shapes, and the shared data where it lies.

Shapes written in signatures are checked while the tests run (jaxtyping with beartype). Compiled kernels are left out:
Numba cannot compile a wrapped function.
"""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
UNCHECKED_ROOMS = ("vision3d/rendering/kernels",)
"""Folders whose shapes are not checked: compiled functions must not be wrapped."""

os.environ.setdefault("NUMBA_CACHE_DIR", str(CHECKOUT / ".numba_cache"))
# Waiting threads sleep: on a busy machine the spinning default makes every small torch call take milliseconds.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

# An int is welcome where a float is asked for, as PEP 484 says.
_CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
_MARK = "stays_on_this_machine"
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


class NetworkRefused(RuntimeError):
    """A test reached for another machine."""


def pytest_configure(config: pytest.Config) -> None:
    """Switch on the checks that hold for the whole run, before any of our packages is imported."""
    _check_shapes_on_import(config)
    _refuse_network(config)
    _settle_hypothesis()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse the network again, should another plugin have let it in; skip GPU tests where there is no GPU."""
    _guard_sockets()
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA GPU, and torch finds none")


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Every test starts from the same random state, whatever ran before it."""
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder that holds pyproject.toml."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scenes and studies; the test is skipped where it is missing."""
    folder = Path(os.environ.get("VISION3D_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the shared data: not found at {folder}; set VISION3D_SHARED_DATA to its folder")
    return folder


def shape_checked_modules() -> list[str]:
    """Names of the modules whose shapes are checked, from the files that exist."""
    names = []
    for package in ("vlm_bridge", "vision3d", "medseg", "apps"):
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            place = path.relative_to(CHECKOUT)
            if not place.as_posix().startswith(UNCHECKED_ROOMS) and place.stem != "__init__":
                names.append(".".join(place.with_suffix("").parts))
    return names


def _check_shapes_on_import(config: pytest.Config) -> None:
    from jaxtyping import install_import_hook

    hook = install_import_hook(shape_checked_modules(), _CHECKER)
    config.add_cleanup(hook.uninstall)


def _refuse_network(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guard_sockets() -> None:
    for name in ("connect", "connect_ex"):
        connect = getattr(socket.socket, name)
        if not hasattr(connect, _MARK):
            setattr(socket.socket, name, _guarded(connect))


def _guarded(connect: Any) -> Any:
    def connect_on_this_machine(self: socket.socket, address: Any) -> Any:
        here = self.family == getattr(socket, "AF_UNIX", None) or str(address[0]).startswith(_LOOPBACK)
        if not here:
            raise NetworkRefused(
                f"Tests stay on this machine, found a connection to {address!r}. Embed what it fetches."
            )
        return connect(self, address)

    setattr(connect_on_this_machine, _MARK, True)
    return connect_on_this_machine


def _settle_hypothesis() -> None:
    from hypothesis import settings

    settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
    settings.load_profile("repeatable")
