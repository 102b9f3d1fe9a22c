"""What `ruff check` refuses with the project's settings: each gate is seen to bite, and to let the repair pass."""

from __future__ import annotations

import json
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
    "PLR0915": (
        "def _f(x):\n" + "    x.sort()\n" * 41,
        "def _f(x):\n" + "    x.sort()\n" * 40,
    ),
    "PLR0913": (
        "def _f(a, b, c, d, e, f, g, h, i):\n    return a\n",
        "def _f(a, b, c, d, e, f, g, h):\n    return a\n",
    ),
    "T201": ("print(1)\n", "x = 1\n"),
    "BLE001": ("try:\n    x = 1\nexcept Exception:\n    x = 2\n", "try:\n    x = 1\nexcept OSError:\n    x = 2\n"),
    "E722": ("try:\n    x = 1\nexcept:\n    x = 2\n", "try:\n    x = 1\nexcept OSError:\n    x = 2\n"),
    "S110": ("try:\n    x = 1\nexcept Exception:\n    pass\n", "try:\n    x = 1\nexcept OSError:\n    x = 2\n"),
    "S112": (
        "for x in ():\n    try:\n        y = x\n    except Exception:\n        continue\n",
        "for x in ():\n    try:\n        y = x\n    except OSError:\n        y = 2\n",
    ),
    "S101": ("def _f(x):\n    assert x > 0\n", "def _f(x):\n    if x <= 0:\n        raise ValueError(x)\n"),
    "F821": ("def _f():\n    return nowhere\n", "def _f(nowhere):\n    return nowhere\n"),
    "S302": ("import marshal\n\nx = marshal.loads(b'')\n", "import json\n\nx = json.loads('1')\n"),
    "S301": ("import pickle\n\nx = pickle.loads(b'')\n", "import json\n\nx = json.loads('1')\n"),
    "TID252": ("from .errors import X as X\n", "from vision3d.errors import X as X\n"),
    "D103": ("def f():\n    return 1\n", 'def f():\n    """One."""\n    return 1\n'),
    "D101": ("class A:\n    x = 1\n", 'class A:\n    """One."""\n'),
    "D102": (
        'class A:\n    """One."""\n\n    def f(self):\n        return 1\n',
        'class A:\n    """One."""\n\n    def f(self):\n        """One."""\n        return 1\n',
    ),
    "PGH003": ("x: int = 'a'  # type: ignore\n", "x: int = 'a'  # type: ignore[assignment]\n"),
    "PGH004": ("import os  # noqa\n", "import os  # noqa: F401\n"),
}


def _ruff(checkout: Path, text: str, name: str = "vision3d/scene/offender.py", head: str = HEAD) -> set[str]:
    """Codes that ruff finds in `text`, as if it stood in the file called `name` below `head`."""
    ruff = Path(sys.executable).with_name("ruff")
    command = [str(ruff), "check", "--output-format", "json", "--stdin-filename", name, "-"]
    done = subprocess.run(command, cwd=checkout, input=head + text, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return {found["code"] for found in json.loads(done.stdout)}


@pytest.mark.parametrize("code", RUFF_OFFENDERS)
def test_ruff_finds_the_offence_and_nothing_in_its_repair(checkout: Path, code: str) -> None:
    offence, repair = RUFF_OFFENDERS[code]
    assert code in _ruff(checkout, offence)
    assert _ruff(checkout, repair) == set()


def test_a_module_says_what_lives_in_it(checkout: Path) -> None:
    assert _ruff(checkout, "", head="x = 1\n") == {"D100"}
    assert _ruff(checkout, "x = 1\n") == set()


def test_only_the_command_line_prints(checkout: Path) -> None:
    assert "T201" not in _ruff(checkout, "print(1)\n", "vision3d/cli.py")
    assert "T201" in _ruff(checkout, "print(1)\n", "vision3d/doctor.py")


def test_only_kernels_may_be_long(checkout: Path) -> None:
    offence = RUFF_OFFENDERS["PLR0913"][0]
    assert "PLR0913" not in _ruff(checkout, offence, "vision3d/rendering/kernels/offender.py")
    assert "PLR0913" in _ruff(checkout, offence, "vision3d/rendering/offender.py")
