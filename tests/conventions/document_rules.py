"""What the documents may point at: each rule takes a folder and lists its violations, `file:line: what`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conventions.source_files import EVERYWHERE, all_paths

_LINK = re.compile(r"""\]\(([^)#\s]+)|^\[[^\]^]+\]:\s*([^#\s]+)|\b(?:src|href)=["']([^"'#]+)""")
_NOT_A_FILE = re.compile(r"[a-z]+://|mailto:|data:")
_MAKE = re.compile(r"\bmake ([a-z][a-z_-]*)")


def broken_links(root: Path) -> list[str]:
    """Relative links and pictures of the documents that lead nowhere or out of the repository."""
    found = []
    for path, number, link in linked_files(root):
        target = (path.parent / link).resolve()
        if not target.exists() or not target.is_relative_to(root.resolve()):
            found.append(f"{path.relative_to(root)}:{number}: link to {link}")
    return found


def linked_files(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Document, line and target of each link to a file, HTML and reference links too."""
    for path, number, line, fenced in _document_lines(root):
        for link in ("".join(found) for found in _LINK.findall("" if fenced else line)):
            if not _NOT_A_FILE.match(link):
                yield path, number, link


def unknown_make_targets(root: Path) -> list[str]:
    """Commands `make ...` in the documents' code whose target is not in the Makefile."""
    makefile = root / "Makefile"
    targets = set(re.findall(r"^([a-z_-]+):", makefile.read_text(), re.MULTILINE)) if makefile.is_file() else set()
    found = []
    for path, number, line, fenced in _document_lines(root):
        for code in [line.partition("#")[0]] if fenced else re.findall(r"`([^`]*)`", line):
            for target in set(_MAKE.findall(code)) - targets:
                found.append(f"{path.relative_to(root)}:{number}: no target {target} in the Makefile")
    return found


def _document_lines(root: Path) -> Iterator[tuple[Path, int, str, bool]]:
    """Document, number, text and whether it stands in a block of code, for each line of the documents."""
    found = [path for path in all_paths(root, EVERYWHERE) if path.suffix == ".md"]
    for path in [*sorted(root.glob("*.md")), *found]:
        fenced = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            fence = line.lstrip().startswith(("```", "~~~"))
            fenced ^= fence
            if not fence:
                yield path, number, line, fenced
