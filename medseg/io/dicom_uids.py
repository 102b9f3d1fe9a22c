"""UIDs and hashes made from content: the same content has the same names, whenever and wherever it is written."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool
from numpy import ndarray


def uid_of(*parts: str) -> str:
    """A UID below 2.25 (those of UUIDs, for which nobody needs a root) that depends on `parts` alone.

    Example:
        >>> uid_of("series", "1.2.3") == uid_of("series", "1.2.3") != uid_of("series", "1.2.4")
        True
    """
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def hash_of_masks(masks: Iterable[Bool[ndarray, "i j k"]]) -> str:
    """SHA-256 of masks in order, shapes included."""
    digest = hashlib.sha256()
    for mask in masks:
        digest.update(repr(mask.shape).encode())
        digest.update(np.packbits(np.ascontiguousarray(mask)).tobytes())
    return digest.hexdigest()
