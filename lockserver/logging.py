"""Structured diagnostics that name nobody.

Events have constant dotted names (`command.settled`), which tests use as trace points. What could say who
somebody is never reaches a line: values under telling names are masked, values of secret types print as stars,
and anything that looks like an identity, document or phone number is cut out of every text, tracebacks included.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "[masked]"

_TELLING = re.compile(
    r"(?i)(^|_)(secret|password|passwd|token|pin|otp|code|name|full_?name|phone|mobile|number|id_?number|document_?number"
    r"|address|birth|birth_?date|sex|ethnicity|selfie|image|portrait|face|template|embedding|seed|private|authorization"
    r"|cookie|sealed|plaintext|fields|body|url|dsn)($|_)"
)
_NOT_FACTS = frozenset(
    {"event", "level", "timestamp", "exc_info", "stack_info"}
)  # rendered first, then scrubbed
_HARMLESS = frozenset(
    {"error_code", "denial_code", "status_code", "exit_code", "reason_code", "state_number", "journal_number",
     "keys_number", "revocation_number", "bridge_number", "lock_name", "role_name", "event_name", "client_no"}
)  # fmt: skip

_WORDS = re.compile(r"[a-z]+([_.-][a-z]+)*")
_SMALLEST_TELLING = 10**9  # phone numbers have eleven digits, identity numbers more

# 18 characters (GB 11643, residence permits), the older 15, mobile numbers, with or without separators;
# and passports: one or two letters and 7 to 8 digits. UUIDs and hex digests do not match: \b and [-\w].
_NUMBERS = re.compile(
    r"(?<![\w-])(?:\d{17}[\dXx]|\d{15}|(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}|[A-Za-z]{1,2}\d{7,8})(?![\w-])"
)
# What PostgreSQL and pydantic quote of the row or the input at fault.
_QUOTED = re.compile(r"(?m)^(DETAIL|CONTEXT):.*$|input_value=.*?(?=, input_type=)")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s:]+:[^/@\s]+(?=@)")  # user:password@ in an address


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask what is told under a telling name, and cut numbers out of everything else."""
    return {name: value if name in _NOT_FACTS else _clean(name, value) for name, value in event.items()}


def scrub(text: str) -> str:
    """The text without identity, document and phone numbers, and without passwords in addresses."""
    return _CREDENTIALS.sub(MASK, _NUMBERS.sub(MASK, _QUOTED.sub(MASK, text)))


def _clean(name: str, value: object) -> object:
    if name not in _HARMLESS and _TELLING.search(name):
        return value if value is None or isinstance(value, bool) or _is_plain(name, value) else MASK
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {str(key): _clean(str(key), part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean("", part) for part in value]
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        text = str(value)
        return MASK if _NUMBERS.fullmatch(text) else value
    return scrub(str(value))


def _is_plain(name: str, value: object) -> bool:
    """A refusal's code and a running number are no one-time code and no identity number."""
    if name == "code":
        return isinstance(value, str) and _WORDS.fullmatch(value) is not None
    return name == "number" and isinstance(value, int) and value < _SMALLEST_TELLING


def _scrub_rendered(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """After tracebacks became text: they may quote a value."""
    for name in ("exception", "stack"):
        if isinstance(event.get(name), str):
            event[name] = scrub(event[name])
    event["event"] = scrub(str(event.get("event", "")))
    return event


class _ForeignHandler(logging.Handler):
    """Brings the lines of libraries through the same processors."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger(record.name)
        level = record.levelname.lower()
        told: Mapping[str, object] = {"exc_info": record.exc_info} if record.exc_info else {}
        getattr(logger, level if level in {"debug", "info", "warning", "error", "critical"} else "info")(
            "library.said", library=record.name, text=record.getMessage(), **told
        )


def configure(*, level: str = "INFO", json: bool = True, stream: TextIO | None = None, **bound: str) -> None:
    """Set up logging of this process once. `bound` (the role) stands on every line."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    exceptions: list[Processor] = [structlog.processors.format_exc_info] if json else []
    structlog.configure(
        processors=[
            lambda _logger, _method, event: {**bound, **event},
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            *exceptions,
            _scrub_rendered,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_ForeignHandler()]
    root.setLevel(max(number, logging.INFO))
    for chatty in ("httpx", "httpcore", "uvicorn.access", "bumble", "PIL", "matplotlib"):
        logging.getLogger(chatty).setLevel(logging.WARNING)  # they quote addresses, and packets
