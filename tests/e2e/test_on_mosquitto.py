"""The straight path on a broker that is not ours: Debian's mosquitto, mutual TLS, its own access rules.

Chapters of the story are played on it in whole processes, each checking itself: claims over Bluetooth, leases,
staff checks, filings, remote unlocks (done, too late, stolen), an early end that kills a key. Afterwards the
auditor re-derives the laws from database and ledger, and is shown to bite.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lockserver.db.auditor import Finding, audit, examine
from lockserver.db.auditor.relay import read_ledger
from lockserver.keys.devices import make_ca
from lockserver.mqtt.link import BrokerAddress, BrokerLink, LinkLost
from lockserver.ports import free_port
from lockserver.protocol.curve import private_key
from lockserver.protocol.journal import How, What
from lockserver.run.demo.claim_locks import claim_locks
from lockserver.run.demo.examine import examine as look_and_drain
from lockserver.run.demo.file_registrations import file_registration
from lockserver.run.demo.move_out import _a_leaves
from lockserver.run.demo.register_tenants import by_staff
from lockserver.run.demo.sign_leases import sign_leases
from lockserver.run.demo.stage import Stage
from lockserver.run.demo.story import Story, open_story
from lockserver.run.demo.unlock_from_afar import unlock_from_afar
from lockserver.run.demo.world import World
from lockserver.run.installation import Wanted, open_installation
from lockserver.run.own_broker import OwnBroker, prepare_broker
from lockserver.run.site import create_keys
from lockserver.run.world import SystemClock, system_random
from lockserver.settings import Role
from tests.support.mosquitto import MOSQUITTO, mosquitto

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.mosquitto,
    pytest.mark.timeout(300),
    pytest.mark.skipif(MOSQUITTO is None, reason="Debian's mosquitto is not here"),
    pytest.mark.asyncio(loop_scope="module"),
]


@dataclass
class Place:
    """A story on its broker, and what has been told of it so far."""

    story: Story
    broker: OwnBroker
    log: Path
    out: io.StringIO
    journal: dict[str, Any] = field(default_factory=dict)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def step(self, title: str) -> dict[str, Any]:
        [found] = [line for line in self.lines if title in line["title"]]
        return found

    @property
    def superuser(self) -> str:
        url = self.story.world.site.superuser_url
        return url.rsplit("/", 1)[0] + "/lockserver"


@asynccontextmanager
async def on_mosquitto(folder: Path) -> AsyncIterator[Place]:
    for name in ("factory", "province"):
        (folder / name).mkdir(parents=True)
    create_keys(folder / "keys", factory=folder / "factory", province_data=folder / "province")
    files = prepare_broker(folder / "keys", folder / "mosquitto", host="127.0.0.1", port=free_port())
    given = files.options
    with mosquitto(files) as log:
        site = open_installation(Wanted(folder, free_port(), broker_url=given.pop("broker_url"), extra=given))
        out = io.StringIO()
        world = World(site)
        try:
            await world.start()
            phones = folder / "phones"
            phones.mkdir()
            story = open_story(Stage(out, json_lines=True), world, phones)
            yield Place(story, files, log, out)
            await story.close()
        finally:
            await site.close()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="lockserver-mosquitto-"))
    made.chmod(0o711)  # PostgreSQL's user must be able to enter, where the tests run as root
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(folder: Path) -> AsyncIterator[Place]:
    async with on_mosquitto(folder) as made:
        made.journal = await play(made.story)
        yield made


async def play(story: Story) -> dict[str, Any]:
    """The main job without photographs: those need no broker. The journal of room 1 as A read it last."""
    tenant = story.players["tenant_a"]
    await claim_locks(story)
    await sign_leases(story)
    await by_staff(story, "tenant_a")
    await file_registration(story, "tenant_a")
    await tenant.sync()
    await unlock_from_afar(story)
    while (await story.seen("room 1"))["unacknowledged"]:
        await asyncio.sleep(0.1)
    journal: dict[str, Any] = await tenant.app.get(f"/locks/{story.locks['room 1']}/journal")
    await _a_leaves(story)
    return journal


async def test_the_straight_path_holds_over_mutual_tls(place: Place) -> None:
    assert all(line["ok"] for line in place.lines)
    assert place.step("from afar")["state"] == "done"
    assert place.step("The lock is offline")["state"] in {"expired", "refused"}
    assert place.step("stolen session, without the phone")["code"] == "wish_invalid"
    assert place.step("A's key is refused at room 1")["code"] == "denied"
    assert place.step("new revocation list")["list_number"] > 0
    said = place.log.read_text()
    named = set(re.findall(r"as (\S+) \(.*u'(\S+)'\)", said))
    locks = {lock.replace("-", "") for lock in place.story.locks.values()}
    assert len(locks) == 3
    assert {(name, name) for name in (*locks, "bridge-1")} == named, "each by its certificate, nobody else"


async def test_journals_arrive_complete_and_chained(place: Place) -> None:
    story = place.story
    for name, lock in story.locks.items():
        journal = await story.landlord.app.get(f"/locks/{lock}/journal")
        assert journal["complete"], name
        assert (await story.seen(name))["unacknowledged"] == 0
    opened = [
        entry for entry in place.journal["entries"] if (entry["what"], entry["whose"]) == ("unlocked", "mine")
    ]
    assert [entry["how"] for entry in opened] == ["remote"], "once, and not by the late or the stolen one"


@pytest.mark.parametrize("who", ["nobody", "a stranger under the bridge's name"])
async def test_L18_without_a_certificate_of_this_site_nobody_enters(
    place: Place, who: str, tmp_path: Path
) -> None:
    context = ssl.create_default_context(cafile=place.broker.ca)
    if who != "nobody":
        key = private_key(system_random)
        stranger = tmp_path / "stranger.pem"
        certificate = make_ca(place.broker.bridge, key, SystemClock().now())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        stranger.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(stranger)
    link = BrokerLink(BrokerAddress("127.0.0.1", place.broker.port, "x", tls=context), lambda *_: None)
    with pytest.raises(LinkLost):
        await link.connect()
    await link.close()


async def test_the_bridges_certificate_lets_in(place: Place) -> None:
    """What the two above lack is the certificate and nothing else. It throws the real bridge out: it comes back."""
    context = ssl.create_default_context(cafile=place.broker.ca)
    context.load_cert_chain(place.broker.bridge_certificate, place.broker.bridge_key)
    link = BrokerLink(BrokerAddress("127.0.0.1", place.broker.port, "x", tls=context), lambda *_: None)
    await link.connect()
    await link.close()


async def test_the_auditor_finds_every_law_kept(place: Place) -> None:
    await look_and_drain(place.story)
    assert place.step("Every law from the end state")["findings"] == []
    assert place.step("in clear")["found"] == []


REMOTE_OPENING = f"what = {int(What.UNLOCKED)} AND how = {int(How.REMOTE)}"
MUTANTS = [
    ("L-21", "UPDATE journal SET how = 3 WHERE number = 2"),
    ("L-21", "DELETE FROM journal WHERE number = 2"),
    ("L-22", "UPDATE commands SET evidence = evidence || '\\x00' WHERE state = 'done'"),
    ("L-22", "DELETE FROM commands WHERE state = 'done'"),  # an opening is left, and a command that expired
    ("L-15", f"UPDATE journal SET at = at + interval '1 hour' WHERE {REMOTE_OPENING}"),
    ("L-19", "DELETE FROM commands"),
    ("L-19", "UPDATE wishes SET raw = raw || '\\x00'"),
    ("L-23", "DELETE FROM duties WHERE kind = 'departure'"),
    ("L-45", "UPDATE grants SET state = 'active', revoked_at = NULL WHERE state = 'revoked'"),
    ("L-24", "UPDATE attempts SET content_digest = 'x'"),
    ("L-25", "DELETE FROM receipts"),
]


@pytest.mark.parametrize(("law", "tampering"), MUTANTS)
async def test_the_auditor_bites(place: Place, law: str, tampering: str) -> None:
    """One row of this very run tampered with, uncommitted, with every trigger of the database switched off."""
    with closing(psycopg.connect(place.superuser)) as breaker:
        assert law not in laws(await found(place, breaker))
        breaker.execute("SET LOCAL session_replication_role = replica")
        assert breaker.execute(tampering).rowcount > 0
        assert law in laws(await found(place, breaker))
        breaker.rollback()
    site = place.story.world.site
    assert audit(site.database_url(Role.AUDIT)) == []


async def found(place: Place, connection: psycopg.Connection[Any]) -> list[Finding]:
    world = place.story.world
    ledger = read_ledger(await world.provincial_raw("GET", "/control/ledger"))
    keys = (world.site.data / "keys" / "relay" / "province_receipt.pub").read_bytes()
    return examine(connection, province_keys=keys, ledger=ledger, drained=True)


def laws(findings: list[Finding]) -> set[str]:
    return {finding.law for finding in findings}
