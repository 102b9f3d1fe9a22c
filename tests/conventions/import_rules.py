"""Which file may import which library, and what no file may do with a stranger's file.

Each rule takes a folder and lists its violations, `file:line: what`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tests.conventions.source_files import PRODUCT, full_name, imported_names, python_files, syntax

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
    "SimpleITK": ("medseg/io/*.py",),
    "ray": ("medseg/inference/ray_engine.py",),
    "gradio": ("apps/*/page.py", "apps/launch.py"),
    "peft": (
        "vlm_bridge/adapters/*.py",
        "vlm_bridge/finetune/*.py",
        "vlm_bridge/rl/*.py",
        "vlm_bridge/rewards/*.py",
        "vlm_bridge/spectra/adapter_weights.py",
    ),
    "matplotlib": ("vlm_bridge/spectra/plots.py",),
    "trl": ("vlm_bridge/finetune/*.py", "vlm_bridge/rl/*.py", "vlm_bridge/rewards/*.py"),
    "tyro": ("*/cli.py", "*/cli_*.py", "*_config.py"),
    "viser": ("vision3d/export/viewer.py", "vision3d/nerfstudio_plugin/*.py"),
}
"""Library -> files of the product that may import it."""
NARROW_DOORS = {"gsplat", "segment_anything"}
"""Libraries whose door is one file per package, whichever of the allowed ones."""
COMPUTED_IMPORTS = ("vision3d/rendering/gsplat_door.py",)
"""Files that may import a module whose name is not written out in the call."""
_IMPORTERS = {"importlib.import_module", "importlib.__import__", "builtins.__import__"}

_UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
_HARMLESS = {"pickle.UnpicklingError", "pickle.PickleError"}
"""What may be said of pickle: the errors of the loaders that refuse it."""
_REFUSED = {
    "torch.hub.load", "pandas.read_pickle",
    "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all",
}  # fmt: skip
_TORCH_LOADS = {"torch.load", "torch.serialization.load"}


def missed_doors(root: Path) -> list[str]:
    """Imports of a library outside its door; inside functions and by name too."""
    found = []
    opened: dict[tuple[str, str], set[str]] = {}
    for path in python_files(root, PRODUCT):
        place = path.relative_to(root).as_posix()
        for line, module in _imported_modules(path):
            library = module.partition(".")[0]
            doors = DOORS.get(library)
            if doors is not None and not _fits(place, doors):
                found.append(f"{place}:{line}: {library} has its door at {', '.join(doors) or 'tests only'}")
            elif library in NARROW_DOORS:
                files = opened.setdefault((place.partition("/")[0], library), set())
                files.add(place)
                if len(files) > 1:
                    found.append(f"{place}:{line}: {library} has its door in {min(files)} already")
    return found


def hidden_imports(root: Path) -> list[str]:
    """Imports that the layers cannot see: of our own modules by name, and of modules whose name is computed."""
    found = []
    for path in python_files(root, PRODUCT):
        place = path.relative_to(root).as_posix()
        for line, module in _modules_by_name(syntax(path)):
            if not module and not _fits(place, COMPUTED_IMPORTS):
                found.append(f"{place}:{line}: imports a module whose name is not written out")
            elif module.partition(".")[0] in PRODUCT:
                found.append(f"{place}:{line}: imports {module} by name; the layers only see import statements")
    return found


def unsafe_loads(root: Path) -> list[str]:
    """Ways of reading that could run code of a foreign file."""
    found = []
    for path in python_files(root, (*PRODUCT, "data", "benchmarks", "docs")):
        tree = syntax(path)
        rows = [*_unsafe_imports(tree), *_unsafe_names(tree)]
        found += [f"{path.relative_to(root).as_posix()}:{line}: {what}" for line, what in sorted(rows)]
    return found


def _fits(place: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(place, pattern) for pattern in patterns)


def _imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    tree = syntax(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
    yield from _modules_by_name(tree)


def _modules_by_name(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and module of each import call; the module is empty where its name is computed."""
    names = {"__import__": "builtins.__import__"} | imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and full_name(node.func, names) in _IMPORTERS:
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "name")]
            written = given[0].value if given and isinstance(given[0], ast.Constant) else ""
            yield node.lineno, str(written)


def _unsafe_imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                # `import pickle` alone is judged by what is then said of it.
                if name.name.partition(".")[0] in _UNPICKLERS - {"pickle"}:
                    yield node.lineno, f"import {name.name}"
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                dotted = f"{node.module}.{name.name}"
                unpickler = node.module.partition(".")[0] in _UNPICKLERS and dotted not in _HARMLESS
                if unpickler or dotted in _REFUSED:
                    yield node.lineno, f"import of {dotted}"


def _unsafe_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    names = imported_names(tree)
    checked = set()
    for node in ast.walk(tree):  # from the outside in: a call is met before the name it calls
        if isinstance(node, ast.Call):
            if full_name(node.func, names) in _TORCH_LOADS:
                checked.add(node.func)
            if what := _unsafe_call(node, names):
                yield node.lineno, what
        elif isinstance(node, ast.Name | ast.Attribute) and node not in checked:
            what = "" if isinstance(node.ctx, ast.Store) else _unsafe_name(full_name(node, names))
            if what:
                yield node.lineno, what


def _unsafe_call(node: ast.Call, names: dict[str, str]) -> str:
    name = full_name(node.func, names)
    given = {word.arg: word.value for word in node.keywords}
    if name in _TORCH_LOADS and not _is_literal(given.get("weights_only"), True):
        return "torch.load without weights_only=True"
    if "allow_pickle" in given and not _is_literal(given["allow_pickle"], False):
        return f"{ast.unparse(node.func)} that may unpickle"
    if name == "numpy.load" and (len(node.args) > 2 or None in given):
        return "numpy.load whose allow_pickle cannot be read"
    return ""


def _unsafe_name(name: str) -> str:
    if name.startswith("pickle.") and name not in _HARMLESS:
        return name
    if name in _REFUSED:
        return name
    return f"{name} handed on, its weights_only unseen" if name in _TORCH_LOADS else ""


def _is_literal(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
