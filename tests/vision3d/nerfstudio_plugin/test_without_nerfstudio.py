"""Where nerfstudio is missing, the plugin says so and everything else works."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from vision3d.errors import MissingDependencyError

_find_spec = importlib.util.find_spec


def _without_nerfstudio(name: str, *arguments: Any) -> Any:
    return None if name == "nerfstudio" else _find_spec(name, *arguments)


def test_the_plugin_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", _without_nerfstudio)
    for name in [name for name in sys.modules if name.startswith("vision3d.nerfstudio_plugin")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDependencyError, match=r"pip install 'vision3d-medseg\[nerfstudio\]'"):
        importlib.import_module("vision3d.nerfstudio_plugin")


def test_the_command_line_needs_no_nerfstudio() -> None:
    importlib.import_module("vision3d.cli")
    assert not [name for name in sys.modules if name == "vision3d.nerfstudio_plugin.method"] or _find_spec("nerfstudio")


def test_the_entry_points_name_files_of_the_room(checkout: Path) -> None:
    groups = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["entry-points"]
    assert set(groups) == {"nerfstudio.method_configs", "nerfstudio.dataparser_configs"}
    for target in [target for group in groups.values() for target in group.values()]:
        module, _, name = target.partition(":")
        path = checkout / f"{module.replace('.', '/')}.py"
        assert f"\n{name} = " in path.read_text()
