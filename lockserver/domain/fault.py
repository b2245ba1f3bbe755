"""What stood in the way of an attempt, in one word of a closed set.

A command's `state` says what is known of its end; its fault says why it is not `done`. What the lock itself
refused comes from its signed word (`code`), what is on the way only from what carriers say: a hint to a person
who waits, and proof of nothing (L-22).
"""

from typing import Final, Literal, TypeAlias, get_args

from lockserver.domain.command import CommandState

OnTheWay: TypeAlias = Literal["lock_offline", "gateway_busy", "lock_busy"]
"""What the way there may say: written into `commands.fault` while the command is under way."""
Word: TypeAlias = Literal[
    "lock_offline",
    "gateway_busy",
    "lock_busy",
    "jammed",
    "clock_lost",
    "expired",
    "torn",
    "unknown",
]
WORDS: Final[tuple[str, ...]] = get_args(Word)
DENIED: Final = "denied:"
"""Before the code of a refusal that has no word of its own."""

_BY_CODE: Final[dict[str, Word]] = {
    "busy": "lock_busy",
    "back_off": "lock_busy",
    "jammed": "jammed",
    "clock_lost": "clock_lost",
    "not_attested": "clock_lost",
    "torn": "torn",
}
"""The lock's own word for it (`lockserver.protocol.errors.Denial`) → ours."""


def fault_of(state: CommandState, code: str | None, on_the_way: str | None) -> str | None:
    """Return the fault of an attempt, or None where it was carried out or nothing stands in its way yet.

    `code`: what the lock said. `on_the_way`: what carriers said last. A command that died because nobody could
    reach the lock says that, and not only that it is dead.
    """
    if state == "done":
        return None
    if state == "refused":
        word = _BY_CODE.get(code or "")
        return word if word is not None else f"{DENIED}{code}"
    if state == "unknown" and code == "torn":
        return "torn"
    if on_the_way is not None:
        return on_the_way
    return state if state in ("expired", "unknown") else None
