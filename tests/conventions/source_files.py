"""How the house rules read a tree: its folders, its Python files, their syntax and what a name in them stands for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PRODUCT = ("vision3d", "medseg", "vlm_bridge", "apps")
EVERYWHERE = (*PRODUCT, "data", "tests", "benchmarks", "docs")


def all_paths(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    """Folders and files below `folders`, sorted, without the interpreter's caches."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if "__pycache__" not in path.parts:
                yield path


def python_files(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    """Python files below `folders`."""
    return (path for path in all_paths(root, folders) if path.suffix == ".py" and path.is_file())


def syntax(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What the names of a file stand for, from its imports: `np` -> `numpy`, `load` -> `torch.load`.

    An assignment of an imported thing to a plain name counts too: after `read = torch.load`, `read` -> `torch.load`.
    """
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                top = name.name.partition(".")[0]
                found[name.asname or top] = name.name if name.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                found[name.asname or name.name] = f"{node.module}.{name.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (meaning := full_name(node.value, found)):
            found |= {target.id: meaning for target in node.targets if isinstance(target, ast.Name)}
    return found


def full_name(node: ast.expr, names: dict[str, str]) -> str:
    """The dotted name an expression stands for, from its library on; empty where it is no imported thing."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute) and (start := full_name(node.value, names)):
        return f"{start}.{node.attr}"
    return ""
