"""Which views are trained on and which are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vision3d.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSplit:
    """Names of the views, each in exactly one list."""

    train: tuple[str, ...]
    """Views to fit."""
    test: tuple[str, ...]
    """Views never shown to the fit."""


def split_views(names: Sequence[str], *, every: int = 8, held_out: Sequence[str] = ()) -> ViewSplit:
    """Hold out every `every`-th view of the sorted names, starting with the first; 0 holds out none.

    Views the scene itself holds out (`held_out`) win over `every`, unless that is 0.

    Example:
        >>> split_views(["a", "b", "c", "d"], every=3)
        ViewSplit(train=('b', 'c'), test=('a', 'd'))

    Raises:
        InvalidInputError: `every` is 1 or negative, or nothing would be left to train on.
    """
    ordered = sorted(names)
    if every < 0 or every == 1:
        raise InvalidInputError(f"split_views: expected every = 0 (none) or at least 2, found {every}. Change it.")
    chosen = set(held_out) & set(ordered) if held_out else set(ordered[::every] if every else ())
    test = tuple(name for name in ordered if name in chosen) if every else ()
    train = tuple(name for name in ordered if name not in test)
    if not train:
        raise InvalidInputError(
            f"split_views: expected views left to train on, found {len(ordered)} views with {len(test)} held out. "
            "Hold out fewer (every = 0 holds out none)."
        )
    return ViewSplit(train=train, test=test)
