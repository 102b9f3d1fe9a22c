"""The house keeps its own rules, and each rule is seen to bite on a tree that breaks it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conventions import house_rules
from tests.conventions.house_rules import LINES_MAX, TREE_RULES, foreign_text, unknown_top_level

HEAD = '"""What lives here."""\n'
OFFENDERS: list[tuple[str, str, str, str]] = [
    ("names", "vision3d/scene/image_utils.py", HEAD, "vision3d/scene/image_utils.py:1: name holds 'utils'"),
    ("names", "medseg/core/slices.py", HEAD, "medseg/core:1: name holds 'core'"),
    ("length", "vision3d/long.py", HEAD + "x = 1\n" * LINES_MAX, f"{LINES_MAX + 1} lines"),
    ("doors", "vision3d/scene/a.py", HEAD + "import gsplat.rendering\n", "vision3d/scene/a.py:2: gsplat"),
    ("doors", "vision3d/scene/b.py", HEAD + "def f():\n    from numba import njit\n", "vision3d/scene/b.py:3: numba"),
    ("doors", "medseg/c.py", HEAD + "import importlib\nimportlib.import_module('cv2')\n", "medseg/c.py:3: cv2"),
    ("doors", "apps/clinic/actions.py", HEAD + "import gradio as gr\n", "apps/clinic/actions.py:2: gradio"),
    ("doors", "vision3d/laga/d.py", HEAD + "import nerfstudio\n", "vision3d/laga/d.py:2: nerfstudio"),
    ("loads", "vision3d/e.py", HEAD + "import torch\ntorch.load('x')\n", "without weights_only=True"),
    ("loads", "vision3d/f.py", HEAD + "import torch\nw = True\ntorch.load('x', weights_only=w)\n", "f.py:4"),
    ("loads", "vision3d/g.py", HEAD + "import torch\ntorch.load('x', weights_only=False)\n", "g.py:3"),
    ("loads", "vision3d/h.py", HEAD + "import pickle\npickle.load(open('x', 'rb'))\n", "pickle.load"),
    ("loads", "medseg/i.py", HEAD + "from pickle import loads\n", "import from pickle"),
    ("loads", "medseg/j.py", HEAD + "import numpy as np\nnp.load('x', allow_pickle=True)\n", "may unpickle"),
    ("loads", "data/recipes/k.py", HEAD + "import joblib\n", "import joblib"),
    ("links", "README.md", "See [it](docs/missing.md).\n", "README.md:1: link to docs/missing.md"),
    ("links", "docs/a.md", "![picture](pictures/none.jpg)\n", "link to pictures/none.jpg"),
    ("links", "README.md", "Run `make coffee`.\n", "no target coffee"),
    ("docstrings", "vision3d/l.py", "x = 1\n", "l.py:1: module"),
    ("docstrings", "vision3d/m.py", HEAD + "def shown():\n    return 1\n", "m.py:2: shown"),
    ("docstrings", "vision3d/n.py", HEAD + "class Shown:\n    pass\n", "n.py:2: Shown"),
]


def _tracked(checkout: Path) -> list[str]:
    if shutil.which("git") is None or not (checkout / ".git").exists():
        pytest.skip("needs the git checkout: this tree was exported")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name]


@pytest.mark.parametrize("name", TREE_RULES)
def test_the_house_keeps_the_rule(checkout: Path, name: str) -> None:
    assert TREE_RULES[name](checkout) == []


@pytest.mark.parametrize(("rule", "file", "text", "said"), OFFENDERS, ids=[f"{row[0]}-{row[1]}" for row in OFFENDERS])
def test_the_rule_bites(tmp_path: Path, rule: str, file: str, text: str, said: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found = TREE_RULES[rule](tmp_path)
    assert any(said in line for line in found), found


def test_every_rule_has_an_offender() -> None:
    assert {row[0] for row in OFFENDERS} == set(TREE_RULES)


def test_the_doors_stand_open_where_they_are(tmp_path: Path) -> None:
    for file, line in {
        "vision3d/rendering/gsplat_door.py": "import gsplat",
        "vision3d/rendering/kernels/blend.py": "from numba import njit",
        "vision3d/scene/load.py": "import torch\ntorch.load('x', weights_only=True)",
        "apps/clinic/page.py": "import gradio",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(HEAD + line + "\n")
    assert [rule(tmp_path) for rule in TREE_RULES.values()] == [[]] * len(TREE_RULES)


def test_the_top_level_is_the_house(checkout: Path, tmp_path: Path) -> None:
    assert unknown_top_level(checkout, [name.partition("/")[0] for name in _tracked(checkout)]) == []
    assert unknown_top_level(tmp_path, ["vision3d", "setup.py"]) == ["setup.py:1: not in the top level of the house"]


def test_the_text_names_no_machine(checkout: Path, tmp_path: Path) -> None:
    assert foreign_text(checkout, [checkout / name for name in _tracked(checkout)]) == []
    page = tmp_path / "notes.md"
    for text in ("see " + "/ho" + "me/ann/x", "in " + "/wo" + "rk/main", "from https://" + "pypi" + ".org/simple"):
        page.write_text(f"fine\n{text}\n")
        (found,) = foreign_text(tmp_path, [page])
        assert found.startswith("notes.md:2: ")
    page.write_text("a relative docs/work/main, ../home/x and the word homework\n")
    assert foreign_text(tmp_path, [page]) == []


def test_private_things_need_no_docstring(tmp_path: Path) -> None:
    (tmp_path / "vision3d").mkdir()
    (tmp_path / "vision3d/o.py").write_text(HEAD + "def _hidden():\n    return 1\n")
    assert house_rules.missing_docstrings(tmp_path) == []
