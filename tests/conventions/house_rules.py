"""The rules of the house that no linter knows: each takes a folder and lists its violations, `file:line: what`.

They read the source with `ast` and import nothing of it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from tests.conventions.document_rules import broken_links, unknown_make_targets
from tests.conventions.import_rules import hidden_imports, missed_doors, unsafe_loads
from tests.conventions.source_files import EVERYWHERE, PRODUCT, all_paths, python_files, syntax

FORBIDDEN_WORDS = {"utils", "util", "common", "core", "helpers", "helper", "misc", "scripts", "tools", "configs"}
LINES_MAX = 400
CODE_SUFFIXES = {".py", ".pyi", ".sh", ".js", ".css", ".html"}
TOP_LEVEL = {
    "pyproject.toml", "vision3d", "medseg", "vlm_bridge", "apps", "data", "tests", "README.md", "Makefile", "LICENSE",
    "CHANGELOG.md", "constraints.txt", ".ci", "docs", "benchmarks", ".gitignore", ".pre-commit-config.yaml",
}  # fmt: skip
GATE_CODES = ("C901", "PLR09", "T20", "BLE", "E722", "S1", "S3", "F821", "TID", "D1", "PGH")
"""Beginnings of the ruff codes that are gates: a comment does not waive them."""
WAIVERS: dict[str, tuple[str, ...]] = {
    # The per-study guard of a batch and the button guard of a page.
    "BLE001": ("medseg/inference/*.py", "apps/*/page.py"),
    # Compiled kernels have no types that pyright could read.
    "pyright": ("vision3d/rendering/*.py",),
}
"""Code, or `pyright` for a switch that holds for a whole file -> files where a comment may waive it."""
_REGISTRY_HOSTS = ("pypi." + "org", "pythonhosted." + "org", "registry.npmjs." + "org", "deb.debian." + "org")
FOREIGN_TEXT = re.compile(
    r"(?<![\w.])/(?:work|home|root|Users|tmp)/[\w.]"
    r"|\b[A-Za-z]:\\{1,2}Users"
    r"|\bHOUSE\b\.md|\bshared/(?:lab|specs)\b|\b[Ii]ssue #?\d"
    r"|" + "|".join(re.escape(host) for host in _REGISTRY_HOSTS)
)
"""Paths of one machine, hosts of package registries, and papers that a reader of the repository has not got."""
_NOQA = re.compile(r"#\s*(?:ruff:\s*|flake8:\s*)?noqa(?::\s*(?P<codes>[A-Z0-9,\s]+))?", re.IGNORECASE)
_PYRIGHT_FILE = re.compile(r"#\s*pyright:\s*(?:basic|report\w+\s*=|ignore\b(?!\[))|#\s*type:\s*ignore(?!\[)")

Rule = Callable[[Path], list[str]]


def forbidden_names(root: Path) -> list[str]:
    """Folders and files named with a word that says nothing."""
    found = []
    for path in all_paths(root, EVERYWHERE):
        place = path.relative_to(root)
        name = place.name if path.is_dir() else place.stem
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
        if words & FORBIDDEN_WORDS:
            found.append(f"{place}:1: name holds {sorted(words & FORBIDDEN_WORDS)[0]!r}")
    return found


def long_files(root: Path) -> list[str]:
    """Code over the hard stop."""
    found = []
    for path in all_paths(root, EVERYWHERE):
        if path.suffix not in CODE_SUFFIXES or not path.is_file():
            continue
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > LINES_MAX:
            found.append(f"{path.relative_to(root)}:{count}: {count} lines, at most {LINES_MAX}")
    return found


def unknown_top_level(root: Path, names: list[str]) -> list[str]:
    """Entries of the repository's top level (their `names`) that have no place there."""
    return [f"{name}:1: not in the top level of the house" for name in sorted(set(names) - TOP_LEVEL)]


def waived_gates(root: Path) -> list[str]:
    """Comments that wave a gate through where no waiver was agreed."""
    found = []
    for path in python_files(root, (*PRODUCT, "data", "benchmarks", "docs")):
        place = path.relative_to(root).as_posix()
        for number, comment in _comments(path):
            for code in _waived(comment):
                if not any(fnmatch(place, pattern) for pattern in WAIVERS.get(code, ())):
                    found.append(f"{place}:{number}: waives {code}")
    return found


def foreign_text(root: Path, files: list[Path]) -> list[str]:
    """Text of the repository that names one machine's paths, a package registry or a paper that is not in it."""
    found = []
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" in content:  # a picture or a table of numbers
            continue
        for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), 1):
            hit = FOREIGN_TEXT.search(line)
            if hit:
                found.append(f"{path.relative_to(root)}:{number}: {hit.group()!r}")
    return found


def ungated_packages(root: Path) -> list[str]:
    """Packages of the product that a gate of pyproject.toml does not look at, or that are not installed."""
    settings = root / "pyproject.toml"
    if not settings.is_file():
        return []
    tool = tomllib.loads(settings.read_text(encoding="utf-8"))["tool"]
    gates = {
        "pyright": tool["pyright"]["include"],
        "importlinter": tool["importlinter"]["root_packages"],
        "pytest": tool["pytest"]["ini_options"]["testpaths"],
        "the wheel": tool["hatch"]["build"]["targets"]["wheel"]["packages"],
    }
    packages = [name for name in PRODUCT if next(python_files(root, (name,)), None) is not None]
    missed = [(gate, name) for name in packages for gate, seen in gates.items() if name not in seen]
    return [f"pyproject.toml:1: {gate} leaves out {name}" for gate, name in missed]


def missing_docstrings(root: Path) -> list[str]:
    """Modules, public classes and public module-level functions of the product without a docstring."""
    found = []
    for path in python_files(root, PRODUCT):
        tree = syntax(path)
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
    "hidden": hidden_imports,
    "loads": unsafe_loads,
    "waivers": waived_gates,
    "links": broken_links,
    "targets": unknown_make_targets,
    "packages": ungated_packages,
    "docstrings": missing_docstrings,
}
"""Rules that need a folder alone."""


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _waived(comment: str) -> list[str]:
    """Gates that a comment switches off; `all` where it names none."""
    if _PYRIGHT_FILE.search(comment):
        return ["pyright"]
    hit = _NOQA.search(comment)
    if hit is None:
        return []
    codes = re.findall(r"[A-Z]+\d+", (hit["codes"] or "").upper())
    return [code for code in codes if code.startswith(GATE_CODES)] if codes else ["all"]
