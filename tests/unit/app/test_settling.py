"""What a lock's word makes of a command, and when documents are sent again: pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from lockserver.app.converge_access import FIRST_PAUSE, LONGEST_PAUSE, missing, pause
from lockserver.app.settle_command import conclude
from lockserver.domain.lock import LockDocument, LockStatus
from lockserver.mqtt.topics import reporting_lock, share
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.errors import Denial
from lockserver.protocol.reports import Outcome, Result
from lockserver.protocol.topics import all_shards, command_topic, report_topic, shard


def result(outcome: Outcome, denial: Denial | None = None) -> Result:
    return Result(bytes(16), outcome, BoltState.UNKNOWN, denial=denial)


@pytest.mark.parametrize(
    ("said", "state", "code"),
    [
        (result(Outcome.DONE), "done", None),
        (result(Outcome.TORN), "unknown", "torn"),  # who knows whether the bolt moved
        (result(Outcome.REFUSED, Denial.REVOKED), "refused", "revoked"),
        (result(Outcome.REFUSED, Denial.STALE_COMMAND), "expired", "stale_command"),
    ],
)
def test_a_results_conclusion(said: Result, state: str, code: str | None) -> None:
    concluded = conclude(said)
    assert concluded is not None
    assert (concluded.state, concluded.code) == (state, code)


def test_the_pause_grows_and_is_bounded() -> None:
    pauses = [pause(tries) for tries in range(1, 40)]
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


def test_a_lock_that_never_spoke_lacks_everything_and_keys_come_first() -> None:
    lock_id = uuid4()
    desired = [LockDocument(lock_id, kind, 3, b"") for kind in ("state", "revocation", "keys")]
    assert [one.kind for one in missing(desired, LockStatus(lock_id))] == ["keys", "revocation", "state"]
    said = LockStatus(lock_id, keys_number=3, revocation_number=2, state_number=4)
    assert [one.kind for one in missing(desired, said)] == ["revocation"]


def test_a_report_is_news_only_above_the_last() -> None:
    heard = LockStatus(uuid4(), boot=2, seq=5, last_seen_at=datetime.now(UTC) - timedelta(days=1))
    assert heard.is_news(2, 6)
    assert heard.is_news(3, 0)
    assert not heard.is_news(2, 5)
    assert not heard.is_news(1, 900)
    assert LockStatus(uuid4()).is_news(0, 0)


def test_bridges_share_all_shards_and_none_twice() -> None:
    for count in (1, 2, 3, 5, 64):
        shares = [share(number, count) for number in range(1, count + 1)]
        assert sorted(one for part in shares for one in part) == sorted(all_shards())


def test_only_a_locks_own_report_topic_is_its_voice() -> None:
    lock_id = uuid4()
    everything = frozenset(all_shards())
    assert reporting_lock(report_topic(lock_id.bytes), everything) == lock_id
    own = shard(lock_id.bytes)
    foreign = next(one for one in all_shards() if one != own)
    for topic in (
        command_topic(lock_id.bytes),
        f"l/{foreign}/{lock_id.hex}/up/report",
        f"l/{own}/{lock_id.hex.upper()}/up/report",
        f"l/{own}/{lock_id.hex}/up/report/",
        f"l/{own}/{lock_id.hex}/up/other",
        f"l/{own}/+/up/report",
        f"l/{own}/{lock_id.hex}\x00/up/report",
        "",
        "$SYS/broker",
    ):
        assert reporting_lock(topic, everything) is None
    assert reporting_lock(report_topic(lock_id.bytes), everything - {own}) is None
