"""`examine`: what this machine offers backbones, and what to do about what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from huggingface_hub.constants import HF_HUB_CACHE

from vlm_bridge.assets import asset_path, list_assets
from vlm_bridge.backbone.catalogue import BACKBONES, EMBEDDED_ASSET
from vlm_bridge.errors import VlmBridgeError
from vlm_bridge.machine_findings import Finding, WantedPackage, package_findings, python_finding

_PACKAGES = (
    WantedPackage(module="transformers", distribution="transformers", use="backbones", extra="vlm"),
    WantedPackage(module="tokenizers", distribution="tokenizers", use="backbones", extra="vlm"),
    WantedPackage(module="safetensors", distribution="safetensors", use="weights", extra="vlm"),
    WantedPackage(module="PIL", distribution="pillow", use="pictures", extra="vlm"),
    WantedPackage(module="accelerate", distribution="accelerate", use="models on GPUs, fine-tuning", extra="vlm"),
    WantedPackage(
        module="torchvision",
        distribution="torchvision",
        use="transformers' own processor, optional",
        extra="vlm",
        needed=False,
    ),
    WantedPackage(
        module="bitsandbytes", distribution="bitsandbytes", use="8 and 4 bits on CUDA, optional", needed=False
    ),
)


def examine() -> list[Finding]:
    """Everything worth knowing before the first question, good or not."""
    checks: list[Callable[[], list[Finding]]] = [_python, _torch, _packages, _embedded, _downloaded]
    return [finding for check in checks for finding in check()]


def _python() -> list[Finding]:
    return [python_finding()]


def _torch() -> list[Finding]:
    version = Finding(subject="torch", found=torch.__version__)
    if not torch.cuda.is_available():
        advice = "A CUDA device makes models above 1B practical."
        return [version, Finding(subject="CUDA device", found="none: answers are made on the CPU", advice=advice)]
    names = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    found = ", ".join(f"{device.name} ({device.total_memory / 1e9:.0f} GB)" for device in names)
    return [version, Finding(subject="CUDA device", found=found)]


def _packages() -> list[Finding]:
    return [*package_findings(_PACKAGES)]


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
