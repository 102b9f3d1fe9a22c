"""`examine`: what this machine offers backbones, and what to do about what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub.constants import HF_HUB_CACHE

from vlm_bridge.assets import asset_path, list_assets
from vlm_bridge.backbone.catalogue import BACKBONES, EMBEDDED_ASSET
from vlm_bridge.errors import VlmBridgeError

_PACKAGES = (
    ("transformers", "transformers", "backbones", "vlm", True),
    ("tokenizers", "tokenizers", "backbones", "vlm", True),
    ("safetensors", "safetensors", "weights", "vlm", True),
    ("PIL", "pillow", "pictures", "vlm", True),
    ("accelerate", "accelerate", "models on GPUs, fine-tuning", "vlm", True),
    ("torchvision", "torchvision", "transformers' own processor, optional", "vlm", False),
    ("bitsandbytes", "bitsandbytes", "8 and 4 bits on CUDA, optional", "", False),
)
"""Module, distribution, use, extra, whether it is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the examination."""

    subject: str
    """What was looked at."""
    found: str
    """What was found."""
    good: bool = True
    """False where something a user may need is missing."""
    advice: str = ""
    """What to do; empty where nothing is to be done."""


def examine() -> list[Finding]:
    """Everything worth knowing before the first question, good or not."""
    checks: list[Callable[[], list[Finding]]] = [_python, _torch, _packages, _embedded, _downloaded]
    return [finding for check in checks for finding in check()]


def _python() -> list[Finding]:
    good = sys.version_info[:2] in ((3, 11), (3, 12))
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [Finding(subject="python", found=found, good=good, advice="" if good else "Use Python 3.11 or 3.12.")]


def _torch() -> list[Finding]:
    version = Finding(subject="torch", found=torch.__version__)
    if not torch.cuda.is_available():
        advice = "A CUDA device makes models above 1B practical."
        return [version, Finding(subject="CUDA device", found="none: answers are made on the CPU", advice=advice)]
    names = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    found = ", ".join(f"{device.name} ({device.total_memory / 1e9:.0f} GB)" for device in names)
    return [version, Finding(subject="CUDA device", found=found)]


def _packages() -> list[Finding]:
    findings = []
    for module, distribution, use, extra, needed in _PACKAGES:
        if importlib.util.find_spec(module) is None:
            line = f"pip install 'vision3d-medseg[{extra}]'" if extra else f"pip install {distribution}"
            finding = Finding(subject=module, found=f"missing, for {use}", good=not needed, advice=line)
        else:
            finding = Finding(subject=module, found=f"{_version_of(distribution)} ({use})")
        findings.append(finding)
    return findings


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _embedded() -> list[Finding]:
    subject = "embedded backbone"
    try:
        if EMBEDDED_ASSET not in {asset.name for asset in list_assets()}:
            return [
                Finding(
                    subject=subject, found="none in this installation", good=False, advice="Name another with --model."
                )
            ]
        return [Finding(subject=subject, found=f"whole, at {asset_path(EMBEDDED_ASSET)}")]
    except VlmBridgeError as error:
        return [Finding(subject=subject, found="damaged", good=False, advice=str(error))]


def _downloaded() -> list[Finding]:
    cache = Path(HF_HUB_CACHE)
    known = {known.place: name for name, known in BACKBONES.items() if known.kind != "embedded"}
    here = [name for place, name in known.items() if (cache / f"models--{place.replace('/', '--')}").is_dir()]
    disk = cache if cache.is_dir() else Path.home()
    free = shutil.disk_usage(disk).free / 1e9
    found = f"{', '.join(here) or 'none'} in {cache}; {free:.0f} GB free"
    return [Finding(subject="downloaded", found=found, advice="" if here else "The embedded backbone needs none.")]
