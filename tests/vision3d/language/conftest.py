"""One small encoder for the tests of this room, and calls as users make them."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest

from tests.vision3d.language.small_models import small_encoder
from vision3d.language.open_clip_encoder import OpenClipEncoder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> OpenClipEncoder:
    """The small model with the weights of seed 0."""
    return small_encoder(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Outside tests no shape is checked, and wrong arguments reach our own messages."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
