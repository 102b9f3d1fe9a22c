"""`examine`: what this machine offers medseg, and what to do about what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from vlm_bridge.machine_findings import Finding, WantedPackage, package_findings, python_finding

_PACKAGES = (
    WantedPackage(module="pydicom", distribution="pydicom", use="DICOM", extra="medseg"),
    WantedPackage(module="pylibjpeg", distribution="pylibjpeg", use="compressed DICOM", extra="medseg"),
    WantedPackage(module="libjpeg", distribution="pylibjpeg-libjpeg", use="JPEG in DICOM", extra="medseg"),
    WantedPackage(module="openjpeg", distribution="pylibjpeg-openjpeg", use="JPEG 2000 in DICOM", extra="medseg"),
    WantedPackage(module="highdicom", distribution="highdicom", use="DICOM SEG and SR", extra="medseg"),
    WantedPackage(module="nibabel", distribution="nibabel", use="NIfTI", extra="medseg"),
    WantedPackage(module="SimpleITK", distribution="SimpleITK", use="MetaImage", extra="medseg"),
    WantedPackage(module="nrrd", distribution="pynrrd", use="NRRD", extra="medseg"),
    WantedPackage(module="cv2", distribution="opencv-python-headless", use="pictures", extra="medseg"),
    WantedPackage(module="PIL", distribution="pillow", use="pictures", extra="medseg"),
    WantedPackage(module="scipy", distribution="scipy", use="quantities", extra="medseg"),
    WantedPackage(module="monai", distribution="monai", use="mask decoders", extra="medseg"),
    WantedPackage(module="ray", distribution="ray", use="batches on a cluster, optional", extra="batch", needed=False),
)
_MEMORY_GB = 8.0
_DISK_GB = 5.0


def examine() -> list[Finding]:
    """Everything worth knowing before the first study, good or not."""
    checks: list[Callable[[], list[Finding]]] = [_python, _torch, _packages, _offers, _memory, _disk]
    return [finding for check in checks for finding in check()]


def _python() -> list[Finding]:
    return [python_finding()]


def _torch() -> list[Finding]:
    import torch

    version = Finding(subject="torch", found=torch.__version__)
    if not torch.cuda.is_available():
        return [version, Finding(subject="CUDA device", found="none: masks are made on the CPU")]
    return [version, Finding(subject="CUDA device", found=torch.cuda.get_device_name(0))]


def _packages() -> list[Finding]:
    return [*package_findings(_PACKAGES)]


def _offers() -> list[Finding]:
    """Segmenters and outputs; their modules need the packages above."""
    if any(importlib.util.find_spec(package.module) is None for package in _PACKAGES if package.needed):
        return []
    from medseg.inference.catalogue import SEGMENTERS
    from medseg.report.catalogue import OUTPUT_FORMATS

    return [
        Finding(subject="segmenters", found=", ".join(SEGMENTERS)),
        Finding(subject="outputs", found=", ".join(OUTPUT_FORMATS)),
    ]


def _memory() -> list[Finding]:
    table = Path("/proc/meminfo")
    if not table.is_file():
        return []
    total = int(table.read_text().split()[1]) * 1024 / 1e9
    good = total >= _MEMORY_GB
    advice = "" if good else "A large CT needs about 6 GB; run one worker and close other programs."
    return [Finding(subject="memory", found=f"{total:.0f} GB", good=good, advice=advice)]


def _disk() -> list[Finding]:
    """Archives are unpacked there while they are read."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free / 1e9
    good = free >= _DISK_GB
    advice = "" if good else f"Free space, or set {'TMPDIR' if os.name == 'posix' else 'TEMP'} to a larger disk."
    return [Finding(subject="temporary files", found=f"{free:.0f} GB free in {folder}", good=good, advice=advice)]
