"""How a law is written down and asked: one function, its sentence, and the moment at which it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

Moment = Literal["opening", "lock", "boot", "visit", "commit", "shown", "known", "end"]
"""opening: a bolt was driven open · lock: a lock has done something · boot: it has started · visit: a phone
leaves a door · commit: a role wrote something · shown: somebody was told what became of his wish · known: somebody
is shown how a lock stands · end: the
world has healed."""

MOMENTS: tuple[Moment, ...] = get_args(Moment)

Judge = Callable[..., None]
Kept = TypeVar("Kept", bound=Judge)


class BrokenLawError(AssertionError):
    """A law does not hold. `law` is its id."""

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law = law
        self.what = what


@dataclass(frozen=True, slots=True)
class Law:
    """One law of the world. `says`: what must hold, the first line of the function's docstring."""

    id: str
    moment: Moment
    says: str
    judge: Judge


LAWS: list[Law] = []


def law(identifier: str, moment: Moment) -> Callable[[Kept], Kept]:
    """Enter a function into the book. It raises BrokenLawError (through `broken`) or returns."""

    def enter(judge: Kept) -> Kept:
        says = (judge.__doc__ or "").strip().splitlines()[0]
        LAWS.append(Law(identifier, moment, says, judge))
        return judge

    return enter


def broken(identifier: str, what: str) -> BrokenLawError:
    """The fault to raise."""
    return BrokenLawError(identifier, what)


def at(moment: Moment) -> list[Law]:
    """The laws that are judged then."""
    return [one for one in LAWS if one.moment == moment]


def judge_all(laws: list[Law], *facts: Any) -> None:
    """Ask each."""
    for one in laws:
        one.judge(*facts)
