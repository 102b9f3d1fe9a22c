"""What the doctor finds: on this machine, and on machines where something is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vision3d import doctor
from vision3d.doctor import Finding, examine
from vlm_bridge.errors import AssetError

NEEDED = ("numba", "cv2", "PIL", "scipy", "open_clip", "skimage", "sklearn", "trimesh", "zstandard")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a package look as if it were not installed."""
    known = importlib.util.find_spec

    def hide(missing: str) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else known(name))

    return hide


def _by_subject(findings: list[Finding]) -> dict[str, Finding]:
    assert len({finding.subject for finding in findings}) == len(findings)
    return {finding.subject: finding for finding in findings}


def test_whatever_is_missing_comes_with_advice() -> None:
    findings = examine()
    assert all(finding.advice for finding in findings if not finding.good)
    assert all(finding.found for finding in findings)
    named = _by_subject(findings)
    assert named["torch"].found == torch.__version__
    assert named["scipy"].found.startswith(importlib.metadata.version("scipy"))
    assert named["cv2"].found.startswith(importlib.metadata.version("opencv-python-headless"))
    assert "whole" in named["asset tabletop"].found


@pytest.mark.parametrize("package", NEEDED)
def test_a_missing_package_is_named_with_its_install_line(package: str, without: Callable[[str], None]) -> None:
    without(package)
    finding = _by_subject(examine())[package]
    assert not finding.good
    assert finding.found.startswith("missing, needed for ")
    assert finding.advice == "pip install 'vision3d-medseg[vision3d]'"


def test_nerfstudio_is_optional(without: Callable[[str], None]) -> None:
    without("nerfstudio")
    finding = _by_subject(examine())["nerfstudio"]
    assert finding.good
    assert finding.advice == "pip install 'vision3d-medseg[nerfstudio]'"


@pytest.mark.parametrize("cuda", [False, True])
def test_gsplat_is_missed_where_there_is_cuda(
    cuda: bool, without: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    without("gsplat")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "a GPU")
    findings = _by_subject(examine())
    assert findings["gsplat"].good is not cuda
    assert "pip install" in findings["gsplat"].advice
    assert findings["CUDA device"].found == ("a GPU" if cuda else "none: scenes are fitted and rendered on the CPU")


def test_another_build_of_opencv_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.metadata.version

    def version(name: str) -> str:
        if name == "opencv-python":
            return "9.9"
        if "opencv" in name:
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert _by_subject(examine())["cv2"].found.startswith("9.9")


def test_a_package_without_metadata_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    findings = _by_subject(examine())
    assert findings["numba"].good
    assert "unknown version" in findings["numba"].found
    assert "unknown version" in findings["gsplat"].found


def test_a_python_that_is_too_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (3, 14, 0))
    finding = _by_subject(examine())["python"]
    assert not finding.good
    assert "3.11 or 3.12" in finding.advice


def test_damaged_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(name: str) -> Path:
        raise AssetError(f"{name}: expected 10 bytes, found 9. Install the package again.")

    monkeypatch.setattr(doctor, "asset_path", damaged)
    finding = _by_subject(examine())["asset tabletop"]
    assert (finding.good, finding.found) == (False, "damaged")
    assert "found 9" in finding.advice


def test_missing_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> tuple:
        raise AssetError("Expected manifest.json, found none. Install the package again.")

    monkeypatch.setattr(doctor, "list_assets", missing)
    finding = _by_subject(examine())["embedded assets"]
    assert not finding.good
    assert "Install" in finding.advice


def test_weights_in_the_hub_cache_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hub" / "models--org--name").mkdir(parents=True)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert _by_subject(examine())["model weights"].found.startswith("org/name;")
