"""`Finding`: one line of what a `doctor` command says about this machine, and the lines that all of them share."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


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

    def lines(self) -> str:
        """As it is printed.

        Example:
            >>> print(Finding(subject="ray", found="missing", good=False, advice="pip install ray").lines())
            ->  ray                missing
                  pip install ray
        """
        mark = "ok " if self.good else "-> "
        advice = f"\n      {self.advice}" if self.advice else ""
        return f"{mark} {self.subject:<18} {self.found}{advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPackage:
    """A package a command uses."""

    module: str
    """Name it is imported by."""
    distribution: str
    """Name it is installed by."""
    use: str
    """What for."""
    extra: str = ""
    """Extra of this distribution that brings it; empty where it is installed by itself."""
    needed: bool = True
    """False for an optional one."""


def python_finding() -> Finding:
    """The version of Python, and the system."""
    good = sys.version_info[:2] in ((3, 11), (3, 12))
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding(subject="python", found=found, good=good, advice="" if good else "Use Python 3.11 or 3.12.")


def package_findings(packages: Iterable[WantedPackage]) -> Sequence[Finding]:
    """Which packages are there; nothing is imported."""
    return [_package_finding(package) for package in packages]


def _package_finding(package: WantedPackage) -> Finding:
    if importlib.util.find_spec(package.module) is None:
        install = f"'vision3d-medseg[{package.extra}]'" if package.extra else package.distribution
        found = f"missing, for {package.use}"
        return Finding(subject=package.module, found=found, good=not package.needed, advice=f"pip install {install}")
    return Finding(subject=package.module, found=f"{_version_of(package.distribution)} ({package.use})")


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"
