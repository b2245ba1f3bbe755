"""`lockserver demo` as a newcomer runs it: a program told on a command line, watched from outside.

The story checks itself at every step. Here stands what its own word is not taken for: that each step is
said as one JSON object, that what a user would notice is in it, that the province's books say the same,
and that nothing of it is left, however it ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from lockserver.ports import free_port, is_free
from lockserver.settings import SERVING
from tests.support.processes import left_behind, processes_about

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(420),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

ROOT = Path(__file__).parents[2]
END = "end"  # what the last line calls itself
SERVERS = ("postgres", "nats-server")
Lines = list[dict[str, Any]]


@dataclass
class Told:
    """One finished run."""

    status: int
    raw: list[str]
    stderr: str
    left: dict[int, str]
    port_is_free: bool

    @property
    def lines(self) -> Lines:
        return [json.loads(line) for line in self.raw]

    def step(self, title: str) -> dict[str, Any]:
        [found] = [line for line in self.lines if title in line.get("title", "")]
        return found


@dataclass
class Running:
    """The demo while it runs; its lines are read as they come."""

    process: subprocess.Popen[str]
    data: Path
    port: int
    raw: list[str]

    def until(self, title: str) -> dict[str, Any]:
        """Read on until a step of this title has been told, or the `end`."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.raw.append(text)
            line: dict[str, Any] = json.loads(text)
            if line["step"] == title if title == END else title in line.get("title", ""):
                return line
        raise AssertionError((title, self.raw[-1:], self.stderr()))

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def end(self) -> Told:
        """Read what is still told; wait for its end; look for what it left."""
        out, err = self.process.communicate(timeout=60)
        self.raw += out.splitlines(keepends=True)
        left = left_behind(self.data)
        return Told(self.process.returncode, self.raw, err, left, is_free(self.port))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lockserver-story-"))
    folder.chmod(0o711)  # PostgreSQL's user must be able to enter, where the tests run as root
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "lockserver.main", "demo", "--json", *options]


@contextmanager
def demo(data: Path, *options: str) -> Iterator[Running]:
    port = free_port()
    process = subprocess.Popen(
        command("--data", str(data), "--port", str(port), *options),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield Running(process, data, port, [])
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture(scope="module")
def story(place: Path) -> Told:
    """The whole story, once; looked at while it runs, so that "nothing is left" could be false."""
    with demo(place / "story", "--once") as running:
        running.until("Everything starts")
        there = " ".join(processes_about(running.data).values())
        assert all(f"--roles {role}" in there for role in SERVING), there
        assert all(name in there for name in (*SERVERS, "province", "sim")), there
        running.until(END)
        return running.end()


def test_every_step_holds_and_nothing_is_left(story: Told) -> None:
    assert story.status == 0, story.raw[-2:]
    assert all(line["ok"] is True for line in story.lines), story.raw
    assert all(isinstance(line["step"], str) and line["ms"] >= 0 for line in story.lines)
    assert len({line["step"] for line in story.lines}) == len(story.lines)
    *steps, end = story.lines
    assert (end["step"], end["held"]) == (END, len(steps))
    assert {line["step"].partition(".")[0] for line in steps} == {str(number) for number in range(12)}
    assert all(line["checked"] for line in steps), "a step that says nothing has checked nothing"
    assert story.left == {}
    assert story.port_is_free
    assert "Traceback" not in story.stderr


def test_cards_and_faces_are_judged_by_what_is_in_them(story: Told) -> None:
    assert story.step("blurred")["code"] == "picture_blurred"
    wrong_digit = story.step("check digit")
    assert {"number_check_digit"} <= {one["code"] for one in wrong_digit["reasons"]}
    stranger, himself = story.step("somebody else's face"), story.step("His own face")
    assert [one["code"] for one in stranger["reasons"]] == ["face_differs"]
    assert stranger["scores"]["face"] < stranger["scores"]["face_review"]
    assert himself["scores"]["face"] >= himself["scores"]["face_accept"]
    assert himself["outcome"] == "approved"
    for letter in "BC":
        equal = story.step(f"{letter} goes by the staff check")
        assert equal["outcome"] == "approved"
        assert [part["kind"] for part in equal["parts"]] == ["staff_check"], "no card image, no face"


def test_the_provinces_own_books_hold_each_tenant_once(story: Told, place: Path) -> None:
    for letter in "ABC":
        voucher = story.step(f"{letter}'s voucher")
        assert (voucher["state"], voucher["records"]) == ("accepted", 1)
    with closing(sqlite3.connect(place / "story" / "province" / "province.sqlite3")) as books:
        rows = books.execute(
            "SELECT client_no, state, version FROM registrations ORDER BY client_no"
        ).fetchall()
        filings = books.execute("SELECT client_no, kind FROM filings").fetchall()
        numbers = books.execute("SELECT count(DISTINCT document_number) FROM registrations").fetchone()
        lost = books.execute("SELECT count(*) FROM calls WHERE fault IS NOT NULL").fetchone()
    assert len(rows) == 3
    assert numbers == (3,)
    assert lost[0] >= 1, "the sick province was really sick"
    assert [kind for _, kind in filings].count("register") == 3
    assert len(filings) == len(set(filings)), "nothing was filed twice"
    assert sum(state == "DEPARTED" for _, state, _ in rows) >= 1
    assert not {"face", "selfie", "door", "opened", "unlocked"} & set(story.step("tenant's ledger")["fields"])


def test_a_phone_alone_opens_while_all_servers_are_stopped(story: Told) -> None:
    assert "the database and the broker are stopped" in story.step("are stopped")["title"]
    for title in ("A opens gate", "A opens room 1 over", "C opens room 2"):
        opened = story.step(title)
        assert (opened["code"], opened["bolt"]) == ("granted", "unlocked")
        inet = [sock for sock in opened["sockets"] if sock["family"].startswith("AF_INET")]
        assert [f"tcp:{sock['peer']}" for sock in inet] == [opened["radio"]], "one socket: the radio"
        assert {f"tcp:{act['where']}" for act in opened["network_acts"]} == {opened["radio"]}
        assert opened["hci_sent"] > 0 < opened["hci_received"]
    titles = [line.get("title", "") for line in story.lines]
    stopped, back = (titles.index(story.step(words)["title"]) for words in ("are stopped", "come back"))
    assert stopped < titles.index(story.step("A opens gate")["title"]) < back
    for name in ("gate", "room 1"):
        [entry] = story.step(f"journal of {name} arrives")["entries"]
        assert (entry["what"], entry["how"], entry["whose"]) == ("unlocked", "ble", "mine")
        assert instant(entry["at"]) < instant(entry["received_at"]), (
            "recorded there before it was heard of here"
        )


def test_keys_work_from_afar_and_die_when_they_should(story: Told) -> None:
    assert story.step("from afar")["state"] == "done"
    offline = story.step("The lock is offline")
    assert offline["shown"] != "done"
    assert offline["state"] in {"expired", "refused"}
    assert story.step("stolen session, without the phone")["code"] == "wish_invalid"
    assert story.step("A's key is refused at room 1")["code"] == "denied"
    assert story.step("C signs the lease of room 2")["epoch"] > 1
    assert story.step("B's key is refused at room 2")["code"] == "denied"
    assert story.step("the others notice nothing")["code"] == "granted"
    assert story.step("Every law from the end state")["findings"] == []
    assert story.step("in clear")["found"] == []


def test_guests_owners_pins_and_gateways_come_in_only_as_they_may(story: Told) -> None:
    assert story.step("names a guest")["grants"].keys() == {"gate", "room 1"}
    assert story.step("The guest's phone opens")["code"] == "granted"
    for title, moved in (("at A's occupied room", 0), ("An emergency", 1)):
        assert story.step(title)["moved"] == moved
    assert "entry_emergency" in story.step("An emergency")["told"]
    assert story.step("A chooses a PIN")["state"] == "set"
    assert story.step("The PIN opens")["moved"] == 1
    assert story.step("one-time PIN")["moved"] == 0, "its second use"
    guesses = [one["answer"] for one in story.step("somebody guesses")["answers"]]
    assert (guesses[-1], "open" in guesses) == ("locked", False)
    assert "unknown_credential" in {one["kind"] for one in story.step("plants a card")["found"]}
    assert story.step("carries A's wish")["via"] == "gateway"
    assert story.step("plug is pulled as well")["fault"]


def test_a_second_run_on_the_same_data_stays_up_until_ctrl_c(story: Told, place: Path) -> None:
    first = story.step("house: a gate")
    with demo(place / "story") as running:
        end = running.until(END)
        assert end["ok"], running.raw
        for address in ("API documentation", "province's ledger"):
            page = httpx.get(end[address], timeout=10, trust_env=False)
            assert page.status_code == httpx.codes.OK
            assert "html" in page.headers["content-type"]
        assert len(processes_about(running.data)) > len(SERVING) + len(SERVERS), "it stays up"
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGINT)
        told = running.end()
    assert told.status == 0
    assert told.left == {}
    assert told.port_is_free
    assert told.step("house: a gate")["checked"] != first["checked"], "fresh people at a fresh address"
    with closing(sqlite3.connect(place / "story" / "province" / "province.sqlite3")) as books:
        assert books.execute("SELECT count(*) FROM registrations").fetchone() == (6,)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_cut_short_in_the_middle_nothing_is_left(place: Path, number: signal.Signals) -> None:
    with demo(place / "cut", "--once") as running:
        running.until("claims the lock of gate")
        assert len(processes_about(running.data)) > len(SERVING) + len(SERVERS)
        running.process.send_signal(number)
        told = running.end()
    assert told.status == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert told.left == {}
    assert told.port_is_free
    assert not any(line["step"] == END for line in told.lines), "nobody is told that it went well"
    assert "Traceback" not in told.stderr


def refused(*options: str) -> str:
    """The one line that is said where nothing can be started."""
    ended = subprocess.run(
        command("--once", *options), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == os.EX_CONFIG
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    return line


def test_a_taken_port_is_said_in_one_line_with_the_cure(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused("--port", str(port), "--data", str(place / "never"))
    assert f"port {port} is taken" in line
    assert "--port" in line
    assert not (place / "never").exists()


def test_a_folder_that_cannot_be_written_is_said_in_one_line_with_the_cure(place: Path) -> None:
    (place / "file").write_text("not a folder: not even root can write below it")
    line = refused("--port", str(free_port()), "--data", str(place / "file" / "data"))
    assert "cannot write" in line
    assert "--data" in line


def test_a_broker_with_tls_and_no_certificates_is_said_in_one_line_with_the_cure(place: Path) -> None:
    given = (
        "--port",
        str(free_port()),
        "--data",
        str(place / "never"),
        "--broker-url",
        "mqtts://127.0.0.1:1",
    )
    assert "--broker-ca" in refused(*given)
    assert "nowhere.crt cannot be read" in refused(*given, "--broker-ca", str(place / "nowhere.crt"))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
