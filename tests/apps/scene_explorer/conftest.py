"""The ball scene in the explorer: one red ball, three green ones, a blue plane."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.scene_explorer.exploration import Exploration, begin
from apps.scene_explorer.explored_scene import ExploredScene, open_explored
from tests.vision3d.export.ball_laga import write_ball_laga
from tests.vision3d.laga.colour_words import ColourWords


@pytest.fixture(scope="session")
def ball_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball_laga(tmp_path_factory.mktemp("explorer") / "balls")


@pytest.fixture(scope="session")
def balls(ball_file: Path) -> ExploredScene:
    return open_explored(ball_file, encoder=ColourWords(), examples=("red", "green", "dim"))


@pytest.fixture(scope="session")
def bare_file(ball_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same splats without objects and cameras."""
    path = tmp_path_factory.mktemp("bare") / "bare.ply"
    path.write_bytes((ball_file.parent / "scene.ply").read_bytes())
    return path


@pytest.fixture
def begun(balls: ExploredScene) -> Exploration:
    return begin(balls)
