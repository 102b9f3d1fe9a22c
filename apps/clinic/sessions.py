"""`Sessions`: the dialogue and the folder of every open browser tab, both gone once the tab is closed.

Two controls of a tab may act at the same time, as a slider during a long question; `change` lets one follow the other,
so neither undoes what the other did.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, RLock

from apps.clinic.dialogue import Dialogue


@dataclass(slots=True)
class _Session:
    folder: Path
    dialogue: Dialogue = field(default_factory=Dialogue)
    lock: RLock = field(default_factory=RLock)


class Sessions:
    """Dialogues by the key of their tab."""

    def __init__(self, root: Path) -> None:
        """Folders are made below `root`, under names that nobody can guess."""
        self._root = root
        self._lock = Lock()
        self._open: dict[str, _Session] = {}

    def __len__(self) -> int:
        """Tabs that are open."""
        return len(self._open)

    def dialogue(self, key: str) -> Dialogue:
        """What a tab has open and has asked."""
        return self._session(key).dialogue

    def folder(self, key: str) -> Path:
        """Where the files of a tab lie; made where it is missing."""
        folder = self._session(key).folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def change(self, key: str, action: Callable[[Dialogue], Dialogue]) -> Dialogue:
        """The tab's dialogue after `action`; where that raises, it stays as it was."""
        session = self._session(key)
        with session.lock:
            session.dialogue = action(session.dialogue)
            return session.dialogue

    def close(self, key: str) -> None:
        """Forget a tab: its dialogue, its study, its files."""
        with self._lock:
            session = self._open.pop(key, None)
        if session is not None:
            shutil.rmtree(session.folder, ignore_errors=True)

    def _session(self, key: str) -> _Session:
        with self._lock:
            if key not in self._open:
                self._open[key] = _Session(folder=self._root / f"tab_{secrets.token_hex(16)}")
            return self._open[key]
