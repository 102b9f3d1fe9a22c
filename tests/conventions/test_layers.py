"""The layers of the house: import-linter's contracts, each seen to bite on a copy of the sources."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conventions.source_files import PRODUCT


@pytest.fixture(scope="module")
def copied(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources and contracts, to be broken."""
    folder = tmp_path_factory.mktemp("layers")
    for name in PRODUCT:
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(checkout / "pyproject.toml", folder)
    return folder


def _lint_imports(folder: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_import_linter_passes_the_house(copied: Path) -> None:
    code, said = _lint_imports(copied)
    assert code == 0, said


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("vlm_bridge/assets.py", "import vision3d.errors", "Dependencies point one way"),
        ("vision3d/cameras/camera_batch.py", "import vision3d.rendering.renderer", "Rooms of vision3d"),
        ("vision3d/cameras/blender.py", "def f():\n    import vision3d.rendering.renderer", "Rooms of vision3d"),
        ("vision3d/scene/ply.py", "import vision3d.reconstruction.fit_gaussians", "Rooms of vision3d"),
        ("vlm_bridge/errors.py", "import vlm_bridge.assets", "Rooms of vlm_bridge"),
        ("vision3d/demo.py", "import apps.scene_explorer.orbit", "Dependencies point one way"),
        ("apps/scene_explorer/actions.py", "import apps.scene_explorer.page", "Files of apps.scene_explorer"),
        ("apps/clinic/actions.py", "import apps.clinic.page", "Files of apps.clinic"),
        ("apps/clinic/page.py", "import apps.scene_explorer.orbit", "Pages do not know each other"),
    ],
)
def test_import_linter_finds_an_import_that_goes_up(copied: Path, file: str, line: str, contract: str) -> None:
    with _changed(copied / file, f"\n{line}\n"):
        code, said = _lint_imports(copied)
    assert code != 0
    (broken,) = _broken(said)
    assert broken.startswith(contract)
    importer, imported = file.removesuffix(".py").replace("/", "."), line.split()[-1]
    assert f"{importer} -> {imported}" in said


@pytest.mark.parametrize("file", ["vision3d/cellar/__init__.py", "vision3d/attic.py", "vlm_bridge/cellar.py"])
def test_import_linter_finds_a_room_without_a_place(copied: Path, file: str) -> None:
    with _changed(copied / file, ""):
        code, said = _lint_imports(copied)
    assert code != 0
    assert f"- {file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}\n" in said


@contextmanager
def _changed(path: Path, added: str) -> Iterator[None]:
    """The file with `added` at its end, new where there was none; afterwards as before."""
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text((before or "") + added)
    try:
        yield
    finally:
        if before is not None:
            path.write_text(before)
        elif path.name == "__init__.py":
            shutil.rmtree(path.parent)
        else:
            path.unlink()


def _broken(said: str) -> list[str]:
    """Names of the contracts that the report calls broken."""
    return re.findall(r"^(.+) BROKEN", said, re.MULTILINE)
