"""What pyright refuses with the project's settings, in every package that they name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path


def test_pyright_finds_a_wrong_type(checkout: Path, tmp_path: Path) -> None:
    settings = re.search(r"\[tool\.pyright\].*?(?=\n\[)", (checkout / "pyproject.toml").read_text(), re.DOTALL)
    assert settings is not None
    (tmp_path / "pyproject.toml").write_text(settings.group())
    packages = tomllib.loads(settings.group())["tool"]["pyright"]["include"]
    for folder in packages:
        (tmp_path / folder).mkdir()
    pyright = [str(Path(sys.executable).with_name("pyright")), "--pythonpath", sys.executable, "--outputjson"]
    for folder in packages:
        (tmp_path / folder / "wrong.py").write_text('x: int = "one"\n')
        (tmp_path / folder / "right.py").write_text("x: int = 1\n")
    done = subprocess.run(pyright, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = {
        (Path(row["file"]).relative_to(tmp_path.resolve()).as_posix(), row["rule"])
        for row in json.loads(done.stdout)["generalDiagnostics"]
    }
    assert found == {(f"{folder}/wrong.py", "reportAssignmentType") for folder in packages}
    assert done.returncode == 1
