"""L-31 for diagnostics: whatever is logged, nobody is named."""

from __future__ import annotations

import io
import json
import logging as stdlib
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from pydantic import BaseModel, SecretStr

from lockserver import logging as ours

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = "11010519491231002X"  # GB 11643's published specimen
PHONE = "13800138000"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = stdlib.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    sink = io.StringIO()
    ours.configure(stream=sink, role="api", level="DEBUG")
    yield sink
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def line(stream: io.StringIO) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(stream.getvalue().strip().splitlines()[-1])
    return told


@pytest.mark.parametrize(
    "fact",
    [
        {"name": "王小明"},
        {"full_name": "王小明"},
        {"tenant_phone": PHONE},
        {"code": "493021"},
        {"refresh_token": "abcdef"},
        {"fields": {"x": "王小明"}},
        {"detail": {"deep": [{"id_number": NUMBER}]}},
        {"said": f"no tenant with {NUMBER} here"},
        {"said": "护照 E12345678"},
        {"said": f"call +86 {PHONE[:3]} {PHONE[3:7]} {PHONE[7:]}"},
        {"count": int(PHONE)},
        {"raw": NUMBER.encode()},
        {"error": ValueError(f"bad number {NUMBER}")},
        {"given": SecretStr("王小明")},
        {"server": "postgresql://ls_api:王小明@127.0.0.1/lockserver"},
    ],
)
def test_L31_no_line_names_anybody(stream: io.StringIO, fact: dict[str, object]) -> None:
    structlog.get_logger().info("case.opened", **fact)
    written = stream.getvalue()
    for canary in (
        NUMBER,
        NUMBER[:-1],
        PHONE,
        "王小明",
        "493021",
        "abcdef",
        "E12345678",
        f"{PHONE[:3]} {PHONE[3:7]}",
    ):
        assert canary not in written


def test_L31_mutant_without_the_processor_is_caught(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "redact", lambda _logger, _method, event: event)
    ours.configure(stream=stream, role="api")
    structlog.get_logger().info("case.opened", said=f"no tenant with {NUMBER} here")
    assert NUMBER in stream.getvalue()


class Person(BaseModel):
    name: int


def test_L31_tracebacks_quote_no_input_and_no_row(stream: io.StringIO) -> None:
    given = {"name": "王小明"}
    try:
        Person.model_validate(given)
    except ValueError:
        structlog.get_logger().exception("case.failed")
    told = line(stream)["exception"]
    assert "ValidationError" in told
    assert "王小明" not in told
    quoting = RuntimeError("duplicate key\nDETAIL:  Key (name)=(王小明) already exists.")
    structlog.get_logger().error("case.failed", exc_info=quoting)
    assert "王小明" not in line(stream)["exception"]
    assert "duplicate key" in line(stream)["exception"]


def test_L31_lines_of_libraries_go_the_same_way(stream: io.StringIO) -> None:
    stdlib.getLogger("somebody.elses").warning("sent to %s", PHONE)
    assert line(stream)["event"] == "library.said"
    assert PHONE not in stream.getvalue()


def test_what_helps_the_operator_stays(stream: io.StringIO) -> None:
    lock = "01890a5d-ac96-774b-bcce-b302099a8057"
    structlog.get_logger().info(
        "command.refused",
        code="not_allowed",
        number=17,
        lock_id=lock,
        ms=3.5,
        ok=False,
        client_no="R-2026-000017",
    )
    told = line(stream)
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event": "command.refused", "level": "info", "role": "api", "code": "not_allowed", "number": 17,
        "lock_id": lock, "ms": 3.5, "ok": False, "client_no": "R-2026-000017",
    }  # fmt: skip
