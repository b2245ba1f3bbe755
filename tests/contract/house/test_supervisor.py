"""Programs under supervision, with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

from lockserver.run import supervisor
from lockserver.run.supervisor import Program, ProgramError, Supervisor
from tests.contract.house.test_leash import gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.contract

READY = "import os, json; os.write(int(os.environ['LOCKSERVER_READY_FD']), json.dumps({'n': 1}).encode() + b'\\n')\n"
SERVES = READY + "import time; time.sleep(300)"


def python(name: str, code: str, ready_s: float = 20.0) -> Program:
    return Program(name, (sys.executable, "-c", code), dict(os.environ), ready_s=ready_s, grace_s=2.0)


@pytest.fixture
async def supervised(tmp_path: Path) -> AsyncIterator[Supervisor]:
    one = Supervisor(tmp_path / "logs")
    yield one
    await one.stop_all()


async def other_than(one: Supervisor, name: str, pid: int) -> int:
    """The process id of the next incarnation."""
    async with asyncio.timeout(20):
        while one.pid(name) == pid:
            await asyncio.sleep(0.02)
    return one.pid(name)


async def test_start_waits_for_the_ready_word_and_hands_it_on(supervised: Supervisor) -> None:
    assert await supervised.start(python("a", SERVES)) == {"n": 1}
    assert supervised.facts("a") == {"n": 1}


async def test_stop_all_goes_backwards_and_leaves_nothing(supervised: Supervisor, tmp_path: Path) -> None:
    order = tmp_path / "order"
    says_when_it_ends = (
        "import signal, sys, time\n"
        f"def end(*_):\n    open({str(order)!r}, 'a').write(sys.argv[1]); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n" + SERVES
    )
    pids = []
    for name in "abc":
        program = python(name, says_when_it_ends)
        await supervised.start(Program(name, (*program.argv, name), program.env))
        pids.append(supervised.pid(name))
    await supervised.stop_all()
    assert order.read_text() == "cba"
    assert supervised.names == []
    assert all(gone(pid) for pid in pids)


async def test_a_died_program_is_started_again(supervised: Supervisor) -> None:
    await supervised.start(python("a", SERVES))
    first = supervised.pid("a")
    await supervised.kill("a")
    second = await other_than(supervised, "a", first)
    assert gone(first)
    assert not supervised.failure.done()
    await supervised.stop("a")
    assert gone(second)


async def test_one_that_keeps_dying_is_given_up_and_said_so(
    supervised: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PAUSES_S", (0.0,))
    await supervised.start(python("a", READY))
    async with asyncio.timeout(30):
        error = await supervised.failure
    assert "a died 5 times" in str(error)


async def test_wrong_settings_are_not_tried_again(supervised: Supervisor) -> None:
    await supervised.start(python("a", READY + "import sys; sys.exit(78)"))
    async with asyncio.timeout(20):
        error = await supervised.failure
    assert "a died 1 times" in str(error)


async def test_dying_before_ready_tells_its_last_words(supervised: Supervisor) -> None:
    with pytest.raises(ProgramError, match="a: port 80 is taken"):
        await supervised.start(python("a", "import sys; print('before', flush=True); sys.exit('port 80 is taken')"))
    assert supervised.names == []


async def test_one_that_never_serves_is_stopped(supervised: Supervisor) -> None:
    with pytest.raises(ProgramError, match="did not serve within"):
        await supervised.start(python("a", "import time; time.sleep(300)", ready_s=0.3))
    assert supervised.names == []


async def test_stopping_while_it_is_being_started_again(supervised: Supervisor) -> None:
    await supervised.start(python("a", SERVES))
    await supervised.kill("a")
    await supervised.stop("a")
    assert supervised.names == []
