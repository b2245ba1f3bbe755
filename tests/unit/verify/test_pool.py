"""The pool of recognition processes: real children, killed and closed for real."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockserver.domain.identity import IdentityFields
from lockserver.run.specimen.card import draw_back, draw_front
from lockserver.run.specimen.photo import jpeg
from lockserver.run.specimen.portraits import card_portrait, selfie, wrong_selfie
from mobile_api.verify import pool as pool_module
from mobile_api.verify.codes import Refusal
from mobile_api.verify.face import Likeness
from mobile_api.verify.frames import FRAME_MAX, body_of, frame, length_of
from mobile_api.verify.pool import RecognitionError, RecognitionPool

Selfies = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def selfies() -> Selfies:
    """A portrait and a second view of it."""
    return jpeg(card_portrait()), jpeg(selfie(1))


@pytest.fixture(scope="module")
def front(someone: IdentityFields) -> bytes:
    return jpeg(draw_front(someone, card_portrait()))


@pytest.fixture(scope="module")
def back(someone: IdentityFields) -> bytes:
    return jpeg(draw_back(someone))


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pids: tuple[int, ...]) -> bool:
    for _ in range(200):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


async def test_a_case_through_the_pool_and_nothing_left_behind(
    someone: IdentityFields, front: bytes, back: bytes
) -> None:
    async with RecognitionPool(workers=2) as pool:
        pids = pool.pids
        assert len(pids) == 2
        reading = await pool.read_card(front, back)
        assert reading.as_identity() == someone
        assert reading.portrait is not None
        same, other, nobody = await asyncio.gather(
            pool.compare(reading.portrait, jpeg(selfie(1))),
            pool.compare(reading.portrait, jpeg(wrong_selfie(1))),
            pool.compare(reading.portrait, b"%PDF-1.7 no face here" * 20),
        )
        assert same.likeness is Likeness.SAME
        assert other.likeness is Likeness.OTHER
        assert (nobody.refusal, nobody.of_selfie) == (Refusal.IMAGE_FORMAT, True)
        assert pool.pids == pids
    assert not any(alive(pid) for pid in pids)


async def test_a_worker_that_dies_is_replaced_and_its_request_refused(selfies: Selfies) -> None:
    async with RecognitionPool(workers=1) as pool:
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)  # so that it certainly dies with the request in its hands
        asked = asyncio.create_task(pool.compare(*selfies))
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RecognitionError) as lost:
            await asked
        assert lost.value.code == "recognition_lost"
        assert (await pool.compare(*selfies)).likeness is Likeness.SAME
        assert len(pool.pids) == 1
        assert pool.pids != (pid,)


async def test_an_overrun_deadline_ends_the_worker(selfies: Selfies) -> None:
    async with RecognitionPool(workers=1, deadline_s=0.2) as pool:
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(RecognitionError) as lost:
            await pool.compare(*selfies)
        assert lost.value.code == "recognition_lost"
        assert wait_until_gone((pid,))


async def test_an_answer_nobody_waited_for_is_not_the_next_askers(selfies: Selfies) -> None:
    portrait, same = selfies
    async with RecognitionPool(workers=1) as pool:
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        impatient = asyncio.create_task(pool.compare(portrait, same))
        await asyncio.sleep(0.05)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        os.kill(pid, signal.SIGCONT)
        found = await pool.compare(portrait, b"not a photograph" * 20)
        assert found.refusal is Refusal.IMAGE_FORMAT


async def test_too_many_waiting_are_told_at_once(selfies: Selfies) -> None:
    async with RecognitionPool(workers=1, waiting_max=1) as pool:
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        served = asyncio.create_task(pool.compare(*selfies))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(pool.compare(*selfies))
        await asyncio.sleep(0.05)
        with pytest.raises(RecognitionError) as busy:
            await pool.compare(*selfies)
        assert busy.value.code == "recognition_busy"
        os.kill(pid, signal.SIGCONT)
        answers = await asyncio.gather(served, waiting)
        assert [one.likeness for one in answers] == [Likeness.SAME, Likeness.SAME]


async def test_closing_refuses_who_waits_and_ends_every_process(
    selfies: Selfies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_FAREWELL_SECONDS", 0.3)
    pool = RecognitionPool(workers=1)
    await pool.start()
    pids = pool.pids
    os.kill(pids[0], signal.SIGSTOP)  # the worst case: it does not even hear the farewell
    asked = [asyncio.create_task(pool.compare(*selfies)) for _ in range(3)]
    await asyncio.sleep(0.05)
    await pool.close()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, RecognitionError) for one in answers)
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(RecognitionError) as closed:
        await pool.compare(*selfies)
    assert closed.value.code == "recognition_closed"


async def test_an_engine_that_does_not_exist_is_a_refusal_to_start() -> None:
    with pytest.raises(RecognitionError):
        await RecognitionPool(workers=1, engine="clever").start()


_OWNER = """
import asyncio, sys
from mobile_api.verify.pool import RecognitionPool
async def own():
    async with RecognitionPool(workers=1) as pool:
        print(*pool.pids, flush=True)
        await asyncio.sleep(600)
asyncio.run(own())
"""


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """A process that owns a pool and does not tidy up."""
    process = subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()


def test_workers_die_with_their_owner_however_it_dies(owner: subprocess.Popen[str]) -> None:
    assert owner.stdout
    pids = tuple(int(pid) for pid in owner.stdout.readline().split())
    assert pids
    owner.kill()
    owner.wait()
    assert wait_until_gone(pids)


def test_L31_a_worker_has_a_bare_environment_and_no_file_of_ours(
    owner: subprocess.Popen[str],
) -> None:
    assert owner.stdout
    (pid,) = (int(part) for part in owner.stdout.readline().split())
    names = {
        entry.split(b"=", 1)[0].decode()
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if entry
    }
    kept = {"PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "PYTHONPATH", "OMP_NUM_THREADS"}
    assert names <= kept | {"LC_CTYPE"}
    limits = Path(f"/proc/{pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if "core file" in line)
    assert core.split()[4:6] == ["0", "0"]


def test_a_frame_above_the_limit_is_refused_at_both_ends() -> None:
    with pytest.raises(ValueError, match="above"):
        length_of((FRAME_MAX + 1).to_bytes(4, "big"))
    with pytest.raises(ValueError, match="above"):
        frame({"front": bytes(FRAME_MAX + 1)})
    with pytest.raises(ValueError, match="map"):
        body_of(b"\x80")
