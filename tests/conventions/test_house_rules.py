"""The house keeps its own rules, and each rule is seen to bite on a tree that breaks it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conventions import house_rules
from tests.conventions.document_rules import linked_files
from tests.conventions.house_rules import LINES_MAX, TREE_RULES, foreign_text, unknown_top_level

HEAD = '"""What lives here."""\n'
OFFENDERS: list[tuple[str, str, str, str]] = [
    ("names", "vision3d/scene/image_utils.py", HEAD, "vision3d/scene/image_utils.py:1: name holds 'utils'"),
    ("names", "vision3d/scene/sceneHelpers.py", HEAD, "sceneHelpers.py:1: name holds 'helpers'"),
    ("names", "medseg/core/slices.py", HEAD, "medseg/core:1: name holds 'core'"),
    ("length", "vision3d/long.py", HEAD + "x = 1\n" * LINES_MAX, f"{LINES_MAX + 1} lines"),
    ("doors", "vision3d/scene/a.py", HEAD + "import gsplat.rendering\n", "vision3d/scene/a.py:2: gsplat"),
    ("doors", "vision3d/scene/b.py", HEAD + "def f():\n    from numba import njit\n", "vision3d/scene/b.py:3: numba"),
    ("doors", "medseg/c.py", HEAD + "import importlib\nimportlib.import_module('cv2')\n", "medseg/c.py:3: cv2"),
    ("doors", "medseg/c2.py", HEAD + "__import__('cv2')\n", "medseg/c2.py:2: cv2"),
    ("doors", "apps/clinic/actions.py", HEAD + "import gradio as gr\n", "apps/clinic/actions.py:2: gradio"),
    ("doors", "vision3d/laga/d.py", HEAD + "import nerfstudio\n", "vision3d/laga/d.py:2: nerfstudio"),
    ("loads", "vision3d/e.py", HEAD + "import torch\ntorch.load('x')\n", "without weights_only=True"),
    ("loads", "vision3d/f.py", HEAD + "import torch\nw = True\ntorch.load('x', weights_only=w)\n", "f.py:4"),
    ("loads", "vision3d/g.py", HEAD + "import torch\ntorch.load('x', weights_only=False)\n", "g.py:3"),
    ("loads", "vision3d/o.py", HEAD + "from torch import load\nload('x')\n", "o.py:3: torch.load without"),
    ("loads", "vision3d/p.py", HEAD + "import torch as t\nread = t.load\n", "p.py:3: torch.load handed on"),
    ("loads", "vision3d/h.py", HEAD + "import pickle\npickle.load(open('x', 'rb'))\n", "h.py:3: pickle.load"),
    ("loads", "vision3d/q.py", HEAD + "import pickle as p\np.loads(b'')\n", "q.py:3: pickle.loads"),
    ("loads", "medseg/i.py", HEAD + "from pickle import loads\n", "i.py:2: import of pickle.loads"),
    ("loads", "medseg/j.py", HEAD + "import numpy as np\nnp.load('x', allow_pickle=True)\n", "may unpickle"),
    ("loads", "medseg/r.py", HEAD + "import numpy as np\nnp.load('x', None, True)\n", "r.py:3: numpy.load"),
    ("loads", "medseg/s.py", HEAD + "import numpy as np\nnp.load('x', **{'allow_pickle': True})\n", "s.py:3: numpy"),
    ("loads", "apps/t.py", HEAD + "import yaml\nyaml.load('x', yaml.Loader)\n", "t.py:3: yaml.load"),
    ("loads", "data/recipes/k.py", HEAD + "import joblib.numpy_pickle\n", "k.py:2: import joblib"),
    ("links", "README.md", "See [it](docs/missing.md).\n", "README.md:1: link to docs/missing.md"),
    ("links", "docs/a.md", "![picture](pictures/none.jpg)\n", "link to pictures/none.jpg"),
    ("links", "data/README.md", 'Fine\n<img src="none.png">\n', "data/README.md:2: link to none.png"),
    ("links", "README.md", "[notes]: docs/none.md\n", "link to docs/none.md"),
    ("links", "README.md", "[out of the repository](..)\n", "README.md:1: link to .."),
    ("targets", "README.md", "Run `make coffee`.\n", "README.md:1: no target coffee"),
    ("targets", "README.md", "```sh\ncd here && make tea  # make sure\n```\n", "README.md:2: no target tea"),
    ("hidden", "vision3d/u.py", HEAD + "__import__('medseg.io')\n", "u.py:2: imports medseg.io by name"),
    ("hidden", "apps/v.py", HEAD + "from importlib import import_module as get\nget(name='vision3d')\n", "v.py:3"),
    ("hidden", "medseg/w.py", HEAD + "import importlib\nimportlib.import_module('gs' + 'plat')\n", "not written out"),
    ("waivers", "vision3d/x.py", HEAD + "print(1)  # noqa: T201\n", "vision3d/x.py:2: waives T201"),
    ("waivers", "medseg/y.py", HEAD + "x = 1  # noqa: F401, BLE001\n", "medseg/y.py:2: waives BLE001"),
    ("waivers", "benchmarks/z.py", "# ruff: noqa\n", "benchmarks/z.py:1: waives all"),
    ("waivers", "vlm_bridge/a.py", "# pyright: reportCallIssue=false\n", "vlm_bridge/a.py:1: waives pyright"),
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
    assert {row[0] for row in OFFENDERS} | {"packages"} == set(TREE_RULES)


def test_the_doors_stand_open_where_they_are(tmp_path: Path) -> None:
    for file, line in {
        "vision3d/rendering/gsplat_door.py": "import gsplat",
        "vision3d/rendering/kernels/blend.py": "from numba import njit",
        "vision3d/scene/load.py": "import torch\ntorch.load('x', weights_only=True)",
        "vision3d/scene/arrays.py": "import numpy as np\nnp.load('x', 'r', allow_pickle=False)\nx = '# noqa: T201'",
        "vision3d/scene/refused.py": "import pickle\ntry:\n    x = 1\nexcept pickle.UnpicklingError:\n    x = 2",
        "vision3d/masks/sam.py": "import segment_anything",
        "medseg/grounding/sam.py": "import segment_anything",
        "medseg/inference/batch.py": "try:\n    x = 1\nexcept Exception:  # noqa: BLE001\n    x = 2",
        "apps/clinic/page.py": "import gradio",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(HEAD + line + "\n")
    assert [rule(tmp_path) for rule in TREE_RULES.values()] == [[]] * len(TREE_RULES)


def test_prose_is_no_command_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("demo: install\n\ttrue\n")
    (tmp_path / "README.md").write_text(
        "Run `make demo` to\nmake sure. [Write](mailto:ann@example.org), [read](https://example.org/x), "
        "[here](README.md#top).\n\n```sh\nmake demo  # [no](link) here\n```\n"
    )
    assert TREE_RULES["links"](tmp_path) == []
    assert TREE_RULES["targets"](tmp_path) == []


def test_a_library_has_one_door_per_package(tmp_path: Path) -> None:
    (tmp_path / "vision3d/masks").mkdir(parents=True)
    for name in ("sam", "sam2"):
        (tmp_path / f"vision3d/masks/{name}.py").write_text(HEAD + "import segment_anything\n")
    (found,) = TREE_RULES["doors"](tmp_path)
    assert found == "vision3d/masks/sam2.py:2: segment_anything has its door in vision3d/masks/sam.py already"


def test_a_new_package_is_not_forgotten_by_the_gates(checkout: Path, tmp_path: Path) -> None:
    shutil.copy(checkout / "pyproject.toml", tmp_path)
    (tmp_path / "vision3d").mkdir()
    (tmp_path / "vision3d/a.py").write_text(HEAD)
    assert TREE_RULES["packages"](tmp_path) == []
    settings = (tmp_path / "pyproject.toml").read_text()
    for gate, key in {"pyright": "include", "importlinter": "root_packages", "the wheel": "packages"}.items():
        cut = re.sub(rf'^({key} = \[)"vision3d", ', r"\1", settings, count=1, flags=re.MULTILINE)
        (tmp_path / "pyproject.toml").write_text(cut)
        assert TREE_RULES["packages"](tmp_path) == [f"pyproject.toml:1: {gate} leaves out vision3d"]


def test_the_top_level_is_the_house(checkout: Path, tmp_path: Path) -> None:
    assert unknown_top_level(checkout, [name.partition("/")[0] for name in _tracked(checkout)]) == []
    assert unknown_top_level(tmp_path, ["vision3d", "setup.py"]) == ["setup.py:1: not in the top level of the house"]


def test_the_text_names_no_machine(checkout: Path, tmp_path: Path) -> None:
    assert foreign_text(checkout, [checkout / name for name in _tracked(checkout)]) == []
    page = tmp_path / "notes.md"
    # Written in two pieces: this file is read by the rule too.
    pieces = [
        ("see /ho", "me/ann/x"), ("in /wo", "rk/main"), ("'/ro", "ot/.cache'"), ("file:///tm", "p/x"),
        ("C:\\Use", "rs\\ann"), ("from https://py", "pi.org/simple"), ("see HOU", "SE.md"), ("fixes issue", " #12"),
    ]  # fmt: skip
    for text in map("".join, pieces):
        page.write_text(f"fine\n{text}\n")
        (found,) = foreign_text(tmp_path, [page])
        assert found.startswith("notes.md:2: ")
    page.write_text("a relative docs/work/main, ../home/x, the word homework, issue tracker and shared/data\n")
    assert foreign_text(tmp_path, [page]) == []


def test_documents_link_to_what_is_in_the_repository(checkout: Path) -> None:
    tracked = {(checkout / name).resolve() for name in _tracked(checkout)}
    linked = {(path.parent / link).resolve() for path, _, link in linked_files(checkout)}
    assert {path for path in linked if path.is_file()} <= tracked


def test_private_things_need_no_docstring(tmp_path: Path) -> None:
    (tmp_path / "vision3d").mkdir()
    (tmp_path / "vision3d/o.py").write_text(HEAD + "def _hidden():\n    return 1\n")
    assert house_rules.missing_docstrings(tmp_path) == []
