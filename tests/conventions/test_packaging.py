"""What is installed: extras, pins, commands, the wheel, and the hooks before a commit."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = {"vlm", "vision3d", "sam", "view", "nerfstudio", "medseg", "train", "batch", "apps", "dev", "all"}


@pytest.fixture(scope="module")
def project(checkout: Path) -> dict[str, Any]:
    return tomllib.loads((checkout / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins(checkout: Path) -> dict[str, Requirement]:
    lines = (checkout / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in found}


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_extras_are_there(project: dict[str, Any]) -> None:
    assert set(project["optional-dependencies"]) == EXTRAS
    everything = Requirement(project["optional-dependencies"]["all"][0])
    assert everything.extras == EXTRAS - {"dev", "all"}


def test_every_pin_is_one_version(pins: dict[str, Requirement]) -> None:
    loose = [str(pin) for pin in pins.values() if [bound.operator for bound in pin.specifier] != ["=="]]
    assert loose == []


def test_every_dependency_is_pinned_within_its_bounds(project: dict[str, Any], pins: dict[str, Requirement]) -> None:
    rows = [*project["dependencies"], *(row for extra in project["optional-dependencies"].values() for row in extra)]
    for requirement in map(Requirement, rows):
        if canonicalize_name(requirement.name) == canonicalize_name(project["name"]):
            continue
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement} is not in constraints.txt"
        (bound,) = pin.specifier
        assert requirement.specifier.contains(bound.version), f"{pin} is not within {requirement}"


def test_every_command_can_be_called(project: dict[str, Any]) -> None:
    assert project["scripts"]
    for target in project["scripts"].values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_wheel_holds_packages_and_samples_alone(wheel: Path, checkout: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"vision3d", "medseg", "vlm_bridge", "apps"}
    modules = [path for top in ("vision3d", "medseg", "vlm_bridge", "apps") for path in (checkout / top).rglob("*.py")]
    assert {path.relative_to(checkout).as_posix() for path in modules} <= set(names)
    assert "vlm_bridge/embedded/manifest.json" in names
    assets = json.loads((checkout / "data/manifest.json").read_text())["assets"]
    files = {f"vlm_bridge/embedded/{file}" for asset in assets.values() for file in asset["files"]}
    assert files
    assert files <= set(names)
    assert not [name for name in names if re.search(r"(^|/)(tests|recipes|__pycache__)/|\.nb[ci]$", name)]


def test_an_unpacked_wheel_finds_its_samples(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import vision3d.cli, vlm_bridge.assets as assets\n"
        "print(vision3d.__file__, assets.__file__, sep='\\n')\n"
        "print(assets.asset_path('tabletop'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    package, module, asset = (Path(line) for line in done.stdout.splitlines())
    assert package == tmp_path / "vision3d/__init__.py"
    assert module == tmp_path / "vlm_bridge/assets.py"
    assert asset == tmp_path / "vlm_bridge/embedded/tabletop"


def test_the_hooks_run_what_the_project_installs(checkout: Path, project: dict[str, Any]) -> None:
    settings = yaml.safe_load((checkout / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in settings["repos"]] == ["local"]
    hooks = settings["repos"][0]["hooks"]
    programs = {hook["entry"].split()[0] for hook in hooks}
    provided = {Requirement(row).name for row in project["optional-dependencies"]["dev"]}
    commands = {"lint-imports": "import-linter"}
    assert {commands.get(program, program) for program in programs} <= provided
    assert {hook["language"] for hook in hooks} == {"system"}
    files = [word for hook in hooks for word in hook["entry"].split() if "/" in word]
    assert all((checkout / file).exists() for file in files), files
    lint = (checkout / "Makefile").read_text()
    assert all(f"$(BIN)/{program}" in lint for program in programs - {"pytest"})
