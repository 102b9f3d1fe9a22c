"""`examine`: what this machine offers vision3d, and what to do about what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from vlm_bridge.assets import asset_path, list_assets
from vlm_bridge.errors import VlmBridgeError
from vlm_bridge.machine_findings import Finding

_PACKAGES = (
    ("numba", "the CPU renderer", "vision3d"),
    ("cv2", "reading and undistorting photos", "vision3d"),
    ("PIL", "reading photos and writing pictures", "vision3d"),
    ("scipy", "neighbour search", "vision3d"),
    ("open_clip", "encoders of pictures and phrases", "vision3d"),
    ("skimage", "masks from the embedded network", "vision3d"),
    ("sklearn", "grouping masks into objects", "vision3d"),
    ("trimesh", "meshes", "vision3d"),
    ("zstandard", ".spz files of version 4", "vision3d"),
    ("nerfstudio", "ns-train (optional)", "nerfstudio"),
)
_DISTRIBUTIONS = {
    "cv2": ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "PIL": ("pillow",),
    "open_clip": ("open-clip-torch",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
}
"""Import name -> the packages that provide it, where the names differ."""


def examine() -> list[Finding]:
    """Everything worth knowing before the first fit, good or not."""
    checks: list[Callable[[], list[Finding]]] = [_python, _torch, _packages, _gsplat, _processor, _assets, _weights]
    return [finding for check in checks for finding in check()]


def _finding(subject: str, found: str, good: bool = True, advice: str = "") -> Finding:
    return Finding(subject=subject, found=found, good=good, advice=advice)


def _python() -> list[Finding]:
    good = sys.version_info[:2] in ((3, 11), (3, 12))
    advice = "" if good else "Use Python 3.11 or 3.12."
    return [
        _finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}", good, advice)
    ]


def _torch() -> list[Finding]:
    import torch

    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name(0) if cuda else "none: scenes are fitted and rendered on the CPU"
    return [
        _finding("torch", torch.__version__),
        _finding("CUDA device", device, True, "" if cuda else "A CUDA device makes large scenes practical."),
    ]


def _packages() -> list[Finding]:
    findings = []
    for module, purpose, extra in _PACKAGES:
        if importlib.util.find_spec(module) is None:
            optional = "optional" in purpose
            advice = f"pip install 'vision3d-medseg[{extra}]'"
            findings.append(_finding(module, f"missing, needed for {purpose}", optional, advice))
        else:
            findings.append(_finding(module, f"{_version_of(module)} ({purpose})"))
    return findings


def _version_of(module: str) -> str:
    for name in _DISTRIBUTIONS.get(module, (module,)):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of unknown version"


def _gsplat() -> list[Finding]:
    import torch

    from vision3d.rendering.gsplat_door import gsplat_version

    version = gsplat_version()
    if version is None:
        advice = "pip install 'vision3d-medseg[vision3d]' to render on CUDA"
        return [_finding("gsplat", "missing", not torch.cuda.is_available(), advice)]
    use = "renders on CUDA" if torch.cuda.is_available() else "not used for rendering here (it has no CPU path)"
    return [_finding("gsplat", f"{version}, {use}")]


def _processor() -> list[Finding]:
    threads = os.environ.get("NUMBA_NUM_THREADS", str(os.cpu_count()))
    cache = os.environ.get("NUMBA_CACHE_DIR", "beside the package")
    findings = [_finding("CPU renderer", f"{threads} threads, compiled kernels cached {cache}")]
    memory = Path("/proc/meminfo")
    if memory.is_file():
        total = int(memory.read_text().split()[1]) * 1024 / 1e9
        advice = "" if total >= 4 else "Fitting needs about 3 GB; close other programs or lower --max-side."
        findings.append(_finding("memory", f"{total:.0f} GB", total >= 4, advice))
    return findings


def _assets() -> list[Finding]:
    findings = []
    try:
        assets = list_assets()
    except VlmBridgeError as error:
        return [_finding("embedded assets", "not found", False, str(error))]
    for asset in assets:
        try:
            asset_path(asset.name)
            findings.append(_finding(f"asset {asset.name}", f"{len(asset.files)} files, whole"))
        except VlmBridgeError as error:
            findings.append(_finding(f"asset {asset.name}", "damaged", False, str(error)))
    return findings


def _weights() -> list[Finding]:
    root = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")) / "hub"
    models = sorted(path.name.removeprefix("models--").replace("--", "/") for path in root.glob("models--*"))
    found = ", ".join(models[:6]) if models else "none in the hub cache"
    return [_finding("model weights", f"{found}; fitting and rendering need none")]
