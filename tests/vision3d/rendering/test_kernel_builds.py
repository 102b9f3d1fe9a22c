"""A kernel gives the same bits whether it was compiled just now or comes from the cache of an earlier process.

A kernel that calls another compiled function is linked with whichever copy of it the process holds: one optimised
together with its caller, or one on its own from the cache, and the two may round differently. Hence what kernels call
is always inlined.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = Path("vision3d/rendering/kernels")
PROGRAM = """
import hashlib, torch
from tests.vision3d.rendering.splat_cases import random_case, render
from vision3d.rendering.cpu_renderer import CpuRenderer
digest = hashlib.sha256()
for dims in (3, 8):
    case = random_case(1, count=4000, dims=dims, with_depth=True)
    image, gradients = render(CpuRenderer(), case, torch.float32)
    for value in (image.channels, image.depth, *gradients.values()):
        digest.update(value.detach().numpy().tobytes())
print(digest.hexdigest())
"""


def linked_helpers(sources: list[str]) -> list[str]:
    """Compiled functions that a kernel calls and that are not inlined."""
    trees = [ast.parse(source) for source in sources]
    plain = set()
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
                if any("njit" in text and "inline" not in text for text in decorators):
                    plain.add(node.name)
    called = {
        node.func.id
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return sorted(plain & called)


def test_what_kernels_call_is_inlined(checkout: Path) -> None:
    sources = [path.read_text() for path in sorted((checkout / KERNELS).glob("*.py"))]
    assert sources
    assert linked_helpers(sources) == []


def test_a_linked_helper_is_found() -> None:
    helper = "@njit(cache=True)\ndef add(x):\n    return x + 1\n"
    kernel = "@njit(parallel=True)\ndef run(x):\n    return add(x)\n"
    assert linked_helpers([helper, kernel]) == ["add"]
    assert linked_helpers([helper.replace("cache=True", "forceinline=True"), kernel]) == []
    assert linked_helpers([helper, "x = 1\n"]) == []


@pytest.mark.slow
def test_a_fresh_build_and_a_cached_one_give_the_same_bits(checkout: Path, tmp_path: Path) -> None:
    environment = dict(os.environ) | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    digests = []
    for _ in range(2):
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        digests.append(done.stdout.split()[-1])
    assert len(digests[0]) == len(hashlib.sha256().hexdigest())
    assert digests[0] == digests[1]
