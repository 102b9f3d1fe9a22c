"""Licences that a record may name: SPDX ids, and `LicenseRef-` for terms of one's own."""

from __future__ import annotations

KNOWN_LICENCES = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0",
    "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0",
    "CDLA-Permissive-2.0", "GPL-3.0-only", "GPL-3.0-or-later", "MIT", "ODC-By-1.0", "ODbL-1.0", "PDDL-1.0",
})  # fmt: skip
OWN_TERMS = "LicenseRef-"
"""Begins the name of terms that SPDX does not list, as `LicenseRef-research-only`; SPDX's own rule."""


def is_known_licence(licence: str) -> bool:
    """Whether a record may name it.

    Example:
        >>> is_known_licence("CC-BY-4.0"), is_known_licence("LicenseRef-KiTS19"), is_known_licence("free")
        (True, True, False)
    """
    return licence in KNOWN_LICENCES or (licence.startswith(OWN_TERMS) and len(licence) > len(OWN_TERMS))
