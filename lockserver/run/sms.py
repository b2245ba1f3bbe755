"""Messages that a provider would have sent, appended to a file: demo and tests only."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class FileSms:
    """One JSON object a line: `{"phone", "code"}`. The file is the owner's alone (0600)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send_code(self, phone: str, code: str) -> None:
        """Append the message. A mainland number is written in its eleven digits."""
        line = json.dumps({"phone": phone.removeprefix("+86"), "code": code}) + "\n"
        await asyncio.to_thread(self._append, line)

    def _append(self, line: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(os.open(self._path, flags, 0o600), "a", encoding="utf-8") as file:
            file.write(line)
