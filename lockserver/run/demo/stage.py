"""Where the story is shown: one line per step, for a person or as JSON.

A step holds or it does not. Whatever a step checked is said on its line, so
that nobody has to take a tick mark's word for it.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_GREEN, _RED, _DIM, _BOLD, _PLAIN = "\033[32m", "\033[31m", "\033[2m", "\033[1m", "\033[0m"
_TITLE_WIDTH = 58
"""Columns for a step's title: with the number, mark and milliseconds it fits an 80-column terminal."""


class StepFailedError(Exception):
    """A check of the story did not hold."""


@dataclass
class Step:
    """One line of the story while it is being played."""

    number: str
    title: str
    facts: dict[str, Any] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def saw(self, text: str, **facts: object) -> None:
        """Say what was observed; `facts` go into the JSON line."""
        self.seen.append(text)
        self.facts.update(facts)

    def check(self, held: bool, what: str, /, **facts: object) -> None:  # noqa: FBT001 - reads as a sentence
        """Fail the step unless `held`; otherwise say what was checked.

        Raises:
            StepFailedError: the check did not hold.
        """
        self.facts.update(facts)
        if not held:
            shown = "".join(f" {name}={value!r}" for name, value in facts.items())
            message = f"not so: {what}{shown}"
            raise StepFailedError(message)
        self.seen.append(what)


class Stage:
    """Prints the story. Counts what held and what did not."""

    def __init__(self, out: TextIO | None = None, *, json_lines: bool = False) -> None:
        self._out = out or sys.stdout
        self._json = json_lines
        self._colour = not json_lines and self._out.isatty()
        self._chapter = -1
        self._count = 0
        self.held = 0
        self.failed = 0

    def chapter(self, title: str) -> None:
        """Open a numbered chapter."""
        self._chapter += 1
        self._count = 0
        if not self._json:
            self.say(f"\n{self._paint(_BOLD, f'{self._chapter}  {title}')}")

    def end(self, seconds: float, addresses: dict[str, str]) -> None:
        """Say how it went, and where to look."""
        if self._json:
            line = {"step": "end", "ok": self.failed == 0, "ms": round(seconds * 1000), "held": self.held}
            print(json.dumps(line | addresses, ensure_ascii=False), file=self._out, flush=True)
            return
        verdict = (
            self._paint(_GREEN, f"Every step held: {self.held} of {self.held}")
            if not self.failed
            else self._paint(
                _RED, f"{self.failed} step failed after {self.held} that held; see logs/story.log"
            )
        )
        self.say(f"\n{verdict}, in {seconds:.1f} s.\n")
        for name, address in addresses.items():
            self.say(f"  {name:<22} {address}")

    def say(self, text: str) -> None:
        """Print a line that is not a step (not in JSON mode, where every line is a step)."""
        if not self._json:
            print(text, file=self._out, flush=True)

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[Step]:
        """Play one step; its failure is shown, then raised to end the story."""
        self._count += 1
        step = Step(f"{self._chapter}.{self._count}", title)
        begun = time.perf_counter()
        try:
            yield step
        except BaseException as fault:
            self.failed += 1
            self._show(step, begun, fault)
            raise
        self.held += 1
        self._show(step, begun, None)

    def _show(self, step: Step, begun: float, fault: BaseException | None) -> None:
        elapsed = round((time.perf_counter() - begun) * 1000)
        if self._json:
            line: dict[str, Any] = {
                "step": step.number,
                "title": step.title,
                "ok": fault is None,
                "ms": elapsed,
                "checked": step.seen,
                **step.facts,
            }
            if fault is not None:
                line["fault"] = _reason(fault)
            print(json.dumps(line, ensure_ascii=False, default=str), file=self._out, flush=True)
            return
        mark = self._paint(_GREEN, "✓") if fault is None else self._paint(_RED, "✗")
        print(f" {step.number:<5}{mark} {step.title:<{_TITLE_WIDTH}} {elapsed:>6} ms", file=self._out)
        for text in step.seen:
            print(self._paint(_DIM, f"         {text}"), file=self._out)
        if fault is not None:
            print(self._paint(_RED, f"         {_reason(fault)}"), file=self._out)
        self._out.flush()

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour else text


def _reason(fault: BaseException) -> str:
    return str(fault) or type(fault).__name__
