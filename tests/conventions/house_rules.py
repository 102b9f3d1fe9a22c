"""The rules of the house that no linter knows: each takes a folder and lists its violations, `file:line: what`.

They read the source with `ast` and import nothing of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

PRODUCT = ("vision3d", "medseg", "vlm_bridge", "apps")
EVERYWHERE = (*PRODUCT, "data", "tests", "benchmarks", "docs")
FORBIDDEN_WORDS = {"utils", "util", "common", "core", "helpers", "helper", "misc", "scripts", "tools", "configs"}
LINES_MAX = 400
TOP_LEVEL = {
    "pyproject.toml", "vision3d", "medseg", "vlm_bridge", "apps", "data", "tests", "README.md", "Makefile", "LICENSE",
    "CHANGELOG.md", "constraints.txt", ".ci", "docs", "benchmarks", ".gitignore", ".pre-commit-config.yaml",
}  # fmt: skip
DOORS: dict[str, tuple[str, ...]] = {
    "gsplat": ("vision3d/rendering/gsplat_door.py",),
    "numba": ("vision3d/rendering/kernels/*.py", "vision3d/rendering/tile_lists.py"),
    "cv2": ("vision3d/cameras/*.py", "medseg/io/*.py"),
    "plyfile": (),
    "nerfstudio": ("vision3d/nerfstudio_plugin/*.py",),
    "open_clip": ("vision3d/language/*.py",),
    "segment_anything": ("vision3d/masks/*.py", "medseg/grounding/*.py"),
    "monai": ("medseg/*.py",),
    "pydicom": ("medseg/io/*.py",),
    "highdicom": ("medseg/io/*.py",),
    "gradio": ("apps/*/page.py", "apps/launch.py"),
    "peft": ("vlm_bridge/adapters/*.py", "vlm_bridge/finetune/*.py", "vlm_bridge/rl/*.py", "vlm_bridge/rewards/*.py"),
    "trl": ("vlm_bridge/finetune/*.py", "vlm_bridge/rl/*.py", "vlm_bridge/rewards/*.py"),
    "tyro": ("*/cli.py", "*_config.py"),
}
"""Library -> files of the product that may import it."""
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".html", ".sh", ".css", ""}
_REGISTRY_HOSTS = ("pypi." + "org", "pythonhosted." + "org", "registry.npmjs." + "org", "deb.debian." + "org")
FOREIGN_TEXT = re.compile(
    r"(?<![\w.])/(?:work|home|root|Users|tmp)/\w|" + "|".join(re.escape(host) for host in _REGISTRY_HOSTS)
)
"""Paths of one machine and hosts of package registries."""
_LINK = re.compile(r"\]\(([^)#\s]+)")
_MAKE = re.compile(r"(?:^|`)make ([a-z]+)", re.MULTILINE)

Rule = Callable[[Path], list[str]]


def forbidden_names(root: Path) -> list[str]:
    """Folders and files named with a word that says nothing."""
    found = []
    for path in _paths(root, EVERYWHERE):
        place = path.relative_to(root)
        words = set(re.split(r"[^a-z]+", place.stem.lower()))
        if words & FORBIDDEN_WORDS:
            found.append(f"{place}:1: name holds {sorted(words & FORBIDDEN_WORDS)[0]!r}")
    return found


def long_files(root: Path) -> list[str]:
    """Python files over the hard stop."""
    found = []
    for path in _python_files(root, EVERYWHERE):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > LINES_MAX:
            found.append(f"{path.relative_to(root)}:{count}: {count} lines, at most {LINES_MAX}")
    return found


def unknown_top_level(root: Path, names: list[str]) -> list[str]:
    """Entries of the repository's top level (their `names`) that have no place there."""
    return [f"{name}:1: not in the top level of the house" for name in sorted(set(names) - TOP_LEVEL)]


def missed_doors(root: Path) -> list[str]:
    """Imports of a library outside the files that are its door, inside functions and by name too."""
    found = []
    for path in _python_files(root, PRODUCT):
        place = path.relative_to(root).as_posix()
        for line, library in _imported_libraries(path):
            doors = DOORS.get(library)
            if doors is not None and not any(fnmatch(place, door) for door in doors):
                found.append(f"{place}:{line}: {library} has its door at {', '.join(doors) or 'tests only'}")
    return found


def unsafe_loads(root: Path) -> list[str]:
    """Calls that could run code of a foreign file."""
    found = []
    for path in _python_files(root, (*PRODUCT, "data")):
        for node in ast.walk(_tree(path)):
            what = _unsafe(node)
            if what:
                found.append(f"{path.relative_to(root)}:{node.lineno}: {what}")  # type: ignore[attr-defined]
    return found


def foreign_text(root: Path, files: list[Path]) -> list[str]:
    """Text of the repository that names one machine's paths or a package registry."""
    found = []
    for path in files:
        if path.suffix not in TEXT_SUFFIXES or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            hit = FOREIGN_TEXT.search(line)
            if hit:
                found.append(f"{path.relative_to(root)}:{number}: {hit.group()!r}")
    return found


def broken_links(root: Path) -> list[str]:
    """Relative links and pictures of the documents that lead nowhere, and make targets that do not exist."""
    makefile = root / "Makefile"
    targets = set(re.findall(r"^([a-z]+):", makefile.read_text(), re.MULTILINE)) if makefile.is_file() else set()
    found = []
    documents = [*root.glob("*.md"), *(path for folder in EVERYWHERE for path in (root / folder).rglob("*.md"))]
    for path in sorted(documents):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for link in _LINK.findall(line):
                if "://" not in link and not (path.parent / link).exists():
                    found.append(f"{path.relative_to(root)}:{number}: link to {link}")
            for target in _MAKE.findall(line):
                if target not in targets:
                    found.append(f"{path.relative_to(root)}:{number}: no target {target} in the Makefile")
    return found


def missing_docstrings(root: Path) -> list[str]:
    """Modules, public classes and public module-level functions of the product without a docstring."""
    found = []
    for path in _python_files(root, PRODUCT):
        tree = _tree(path)
        if path.name != "__init__.py" and ast.get_docstring(tree) is None:
            found.append(f"{path.relative_to(root)}:1: module without a docstring")
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and ast.get_docstring(node) is None:
                found.append(f"{path.relative_to(root)}:{node.lineno}: {node.name} without a docstring")
    return found


TREE_RULES: dict[str, Rule] = {
    "names": forbidden_names,
    "length": long_files,
    "doors": missed_doors,
    "loads": unsafe_loads,
    "links": broken_links,
    "docstrings": missing_docstrings,
}
"""Rules that need a folder alone."""


def _paths(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if "__pycache__" not in path.parts:
                yield path


def _python_files(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    return (path for path in _paths(root, folders) if path.suffix == ".py")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _imported_libraries(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and _called(node).endswith(("import_module", "__import__")) and node.args:
            yield node.lineno, ast.unparse(node.args[0]).strip("'").partition(".")[0]


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def _unsafe(node: ast.AST) -> str:
    if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "dill", "joblib", "marshal", "shelve"):
        return f"import from {node.module}"
    if isinstance(node, ast.Import) and {name.name for name in node.names} & {"dill", "joblib", "marshal", "shelve"}:
        return f"import {node.names[0].name}"
    if not isinstance(node, ast.Call):
        return ""
    name = _called(node)
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    if name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "yaml.load", "yaml.unsafe_load"):
        return name
    if name == "torch.load" and not _is_literal(given.get("weights_only"), True):
        return "torch.load without weights_only=True"
    if name in ("np.load", "numpy.load") and "allow_pickle" in given and not _is_literal(given["allow_pickle"], False):
        return "numpy.load that may unpickle"
    return ""


def _is_literal(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
