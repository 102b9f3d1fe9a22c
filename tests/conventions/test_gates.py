"""The gates that `make lint` runs, each seen to bite: ruff, pyright and import-linter with the project's settings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = '"""What lives here."""\n\n'
BRANCHES = "".join(f"    if x == {row}:\n        return {row}\n" for row in range(10))
"""Ten branches: with the function itself, a complexity of eleven."""
RUFF_OFFENDERS: dict[str, tuple[str, str]] = {
    # Code -> (what offends, the same put right).
    "C901": (f"def _f(x):\n{BRANCHES}", f"def _f(x):\n{BRANCHES.rpartition('    if')[0]}"),
    "PLR0915": ("def _f():\n" + "    x = 1\n" * 41 + "    return x\n", "def _f():\n" + "    x = 1\n" * 30),
    "PLR0913": (
        "def _f(a, b, c, d, e, f, g, h, i):\n    return a\n",
        "def _f(a, b, c, d, e, f, g, h):\n    return a\n",
    ),
    "T201": ("print(1)\n", "x = 1\n"),
    "BLE001": ("try:\n    x = 1\nexcept Exception:\n    x = 2\n", "try:\n    x = 1\nexcept OSError:\n    x = 2\n"),
    "S110": ("try:\n    x = 1\nexcept Exception:\n    pass\n", "try:\n    x = 1\nexcept Exception:\n    x = 2\n"),
    "S101": ("def _f(x):\n    assert x > 0\n", "def _f(x):\n    if x <= 0:\n        raise ValueError(x)\n"),
    "F821": ("def _f():\n    return nowhere\n", "def _f(nowhere):\n    return nowhere\n"),
    "S301": ("import pickle\n\nx = pickle.loads(b'')\n", "import json\n\nx = json.loads('1')\n"),
    "TID252": ("from .errors import X as X\n", "from vision3d.errors import X as X\n"),
    "D103": ("def f():\n    return 1\n", 'def f():\n    """One."""\n    return 1\n'),
    "D101": ("class A:\n    x = 1\n", 'class A:\n    """One."""\n'),
    "PGH004": ("import os  # noqa\n", "import os  # noqa: F401\n"),
}


def _ruff(checkout: Path, text: str, name: str = "vision3d/scene/offender.py") -> set[str]:
    """Codes that ruff finds in `text`, as if it stood in the file called `name`."""
    ruff = Path(sys.executable).with_name("ruff")
    command = [str(ruff), "check", "--output-format", "json", "--stdin-filename", name, "-"]
    done = subprocess.run(command, cwd=checkout, input=HEAD + text, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return {found["code"] for found in json.loads(done.stdout)}


@pytest.mark.parametrize("code", RUFF_OFFENDERS)
def test_ruff_finds_the_offence_and_nothing_in_its_repair(checkout: Path, code: str) -> None:
    offence, repair = RUFF_OFFENDERS[code]
    assert code in _ruff(checkout, offence)
    assert code not in _ruff(checkout, repair)


def test_only_the_command_line_prints(checkout: Path) -> None:
    assert "T201" not in _ruff(checkout, "print(1)\n", "vision3d/cli.py")
    assert "T201" in _ruff(checkout, "print(1)\n", "vision3d/doctor.py")


def test_only_kernels_may_be_long(checkout: Path) -> None:
    offence = RUFF_OFFENDERS["PLR0913"][0]
    assert "PLR0913" not in _ruff(checkout, offence, "vision3d/rendering/kernels/offender.py")
    assert "PLR0913" in _ruff(checkout, offence, "vision3d/rendering/offender.py")


def test_pyright_finds_a_wrong_type(checkout: Path, tmp_path: Path) -> None:
    settings = re.search(r"\[tool\.pyright\].*?(?=\n\[)", (checkout / "pyproject.toml").read_text(), re.DOTALL)
    assert settings is not None
    (tmp_path / "pyproject.toml").write_text(settings.group())
    for folder in ("vision3d", "vlm_bridge"):
        (tmp_path / folder).mkdir()
    module = tmp_path / "vision3d/offender.py"
    pyright = [str(Path(sys.executable).with_name("pyright")), "--pythonpath", sys.executable, "--outputjson"]
    found = {}
    for name, text in {"offence": 'x: int = "one"\n', "repair": "x: int = 1\n"}.items():
        module.write_text(text)
        done = subprocess.run(pyright, cwd=tmp_path, capture_output=True, text=True, check=False)
        found[name] = [row.get("rule") for row in json.loads(done.stdout)["generalDiagnostics"]]
        assert done.returncode == (1 if found[name] else 0)
    assert found == {"offence": ["reportAssignmentType"], "repair": []}


@pytest.fixture(scope="module")
def copied(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources and contracts, to be broken."""
    folder = tmp_path_factory.mktemp("layers")
    for name in ("vision3d", "vlm_bridge"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(checkout / name, folder / name, ignore=ignored)
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
        ("vision3d/scene/ply.py", "import vision3d.reconstruction.fit_gaussians", "Rooms of vision3d"),
        ("vlm_bridge/errors.py", "import vlm_bridge.assets", "Rooms of vlm_bridge"),
        ("vision3d/cellar/__init__.py", "", "Rooms of vision3d"),
    ],
)
def test_import_linter_finds_the_offence(copied: Path, file: str, line: str, contract: str) -> None:
    path = copied / file
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text((before or "") + f"\n{line}\n")
    try:
        code, said = _lint_imports(copied)
    finally:
        if before is None:
            shutil.rmtree(path.parent)
        else:
            path.write_text(before)
    assert code != 0
    broken = [row for row in said.splitlines() if contract in row]
    assert "cellar" in said or any("BROKEN" in row for row in broken), said
