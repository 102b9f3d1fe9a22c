"""One small encoder for the tests of this room."""

from __future__ import annotations

import pytest

from tests.vision3d.language.small_models import small_encoder
from vision3d.language.open_clip_encoder import OpenClipEncoder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> OpenClipEncoder:
    """The small model with the weights of seed 0."""
    return small_encoder(tmp_path_factory.mktemp("models") / "small")
