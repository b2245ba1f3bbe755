"""The reference phone: what it pins, what it signs, what it carries, what it refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockserver.domain.canonical import dumps
from lockserver.protocol.carried import DocumentKind
from lockserver.protocol.cose import Kind, verify1
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.handshake import LockInfo
from lockserver.protocol.request import hash_body, read_request
from lockserver.protocol.wish import OF, WishOperation, digest_of, read_wish
from mobile_api.phone.bundle import b64, unb64
from mobile_api.phone.door import news_for
from mobile_api.phone.errors import NoKeyError
from mobile_api.phone.phone import Phone
from tests.support.site import Enrolled, Holder, Site, source

LOCK = Enrolled(bytes(range(16)), b"", b"", b"")


class RecordingServer:
    """Answers what it is told to, and keeps what was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._answers = list(answers)

    async def post(self, path: str, body: object) -> Any:
        self.asked.append((path, body))
        return self._answers.pop(0)


def kit(site: Site, phone: Phone, **changes: Any) -> dict[str, Any]:
    lock = Enrolled(LOCK.lock_id, site.issuer.public, b"", b"")
    holder = Holder(phone.bundle.signing, bytes(16))
    door = {
        "name": "room 1",
        "kind": "room",
        "door": b64(site.door(lock)),
        "credential": b64(site.credential(lock, holder)),
        "withheld": None,
        "expires_at": "2027-01-16T08:00:00Z",
        "revocation_list": b64(site.revocation(lock, number=3).raw),
        "access_state": b64(site.state(lock, version=1).raw),
        "time": None,
    }
    whole = {"site_root": b64(site.root.public), "key_set": b64(site.key_set), "doors": [door]}
    return whole | changes


def test_a_bundle_survives_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "phones" / "a.json"
    phone = Phone.fresh(path)
    phone.take(kit(Site(), phone))
    phone.bundle.reports.append((LOCK.lock_id, b"sealed"))
    phone.save()
    assert path.stat().st_mode & 0o077 == 0
    again = Phone.load(path).bundle
    assert again.sign_public == phone.bundle.sign_public
    assert again.ecdh_public == phone.bundle.ecdh_public
    assert again.doors == phone.bundle.doors
    assert again.reports == [(LOCK.lock_id, b"sealed")]
    assert again.door_key(LOCK.lock_id) == phone.bundle.door_key(LOCK.lock_id)


def test_a_phone_without_a_key_says_so() -> None:
    phone = Phone.fresh()
    with pytest.raises(NoKeyError):
        phone.bundle.door_key(LOCK.lock_id)
    whole = kit(Site(), phone)
    whole["doors"][0]["credential"] = None
    whole["doors"][0]["withheld"] = "identity_open"
    phone.take(whole)
    with pytest.raises(NoKeyError):
        phone.bundle.door_key(LOCK.lock_id)


@pytest.mark.parametrize("what", ["another root", "key set of another root", "door by another issuer"])
def test_who_carries_the_kit_can_withhold_it_and_not_forge_it(what: str) -> None:
    site, mallory = Site(), Site(source(666))
    phone = Phone.fresh()
    phone.take(kit(site, phone))
    before = dict(phone.bundle.doors)
    forged = kit(site, phone)
    if what == "another root":
        forged = kit(mallory, phone)
    elif what == "key set of another root":
        forged["key_set"] = b64(mallory.key_set)
    else:
        forged["doors"] = kit(mallory, phone)["doors"]
    with pytest.raises(RemoteError):
        phone.take(forged)
    assert phone.bundle.doors == before
    assert phone.bundle.site_root == site.root.public


async def test_a_sync_is_signed_brings_nonces_and_hands_the_locks_reports_over() -> None:
    site = Site()
    phone = Phone.fresh()
    phone.bundle.phone_id = bytes(range(1, 17))
    phone.take(kit(site, phone))
    phone.bundle.doors[LOCK.lock_id].nonce = b"12345678"
    phone.bundle.reports = [(LOCK.lock_id, b"report %d" % n) for n in range(10)]
    server = RecordingServer(kit(site, phone, now="2027-01-15T08:00:00Z"), kit(site, phone))
    await phone.sync(server)
    ((path, body),) = server.asked
    assert path == "/phone/sync"
    asks = unb64(body["asks"])
    request = read_request(unb64(body["request"]), phone.bundle.sign_public)
    assert (request.phone_id, request.method_path) == (phone.bundle.phone_id, "POST /v1/phone/sync")
    assert request.body_hash == hash_body(asks)
    assert json.loads(asks) == {"nonces": {LOCK.lock_id.hex(): b64(b"12345678")}}
    assert [unb64(r["report"]) for r in body["reports"]] == [b"report %d" % n for n in range(8)]
    assert phone.bundle.reports == [(LOCK.lock_id, b"report %d" % n) for n in (8, 9)]
    assert abs(phone.now - 1_800_000_000) < 5, "its clock follows the server's"
    assert phone.bundle.doors[LOCK.lock_id].nonce == b"12345678"
    await phone.sync(server)
    assert phone.bundle.reports == []


async def test_an_enrolment_is_bound_to_the_session_and_to_both_keys() -> None:
    session = UUID(int=7)
    phone = Phone.fresh()
    server = RecordingServer({"id": str(UUID(int=9)), "state": "pending"})
    await phone.enrol(server, session)
    ((path, body),) = server.asked
    proof = read_request(unb64(body["proof"]), unb64(body["sign_pub"]))
    assert path == "/phones"
    assert proof.phone_id == session.bytes
    assert proof.body_hash == hash_body(unb64(body["sign_pub"]) + unb64(body["ecdh_pub"]))
    assert phone.bundle.phone_id == UUID(int=9).bytes


def test_a_wish_names_one_thing_and_dies_young() -> None:
    phone = Phone.fresh()
    raw = phone.wish(WishOperation.UNLOCK, LOCK.lock_id)
    wish = read_wish(raw, phone.bundle.sign_public)
    assert (wish.target_id, wish.operation) == (LOCK.lock_id, WishOperation.UNLOCK)
    assert 15 <= wish.not_after - time.time() <= 21
    other = read_wish(phone.wish(WishOperation.UNLOCK, LOCK.lock_id), phone.bundle.sign_public)
    assert other.wish_id != wish.wish_id
    with pytest.raises(RemoteError):
        verify1(Kind.REQ, raw, keys_by_id((phone.bundle.sign_public,)))


BODIES = st.dictionaries(
    st.text(), st.recursive(st.text() | st.integers() | st.booleans() | st.none(), st.lists, max_leaves=4)
)


@given(BODIES.filter(lambda body: not body.keys() & {"wish", "salt"}), st.booleans())
def test_a_wish_over_a_body_covers_what_the_server_reads_of_it(body: dict[str, Any], escaped: bool) -> None:
    """However the JSON is spelt on its way, both come to the same canonical form."""
    phone = Phone.fresh()
    sent = json.loads(
        json.dumps(phone.wish_for(WishOperation.NAME_STAFF, bytes(16), body), ensure_ascii=escaped)
    )
    wish = read_wish(unb64(sent.pop("wish")), phone.bundle.sign_public)
    salt = unb64(sent.pop("salt"))
    assert sent == body
    assert wish.args == {OF: digest_of(salt, dumps(sent))}
    assert (wish.operation, wish.target_id) == (WishOperation.NAME_STAFF, bytes(16))


def test_a_wish_over_a_body_wears_a_fresh_salt() -> None:
    phone = Phone.fresh()
    one, two = [phone.wish_for(WishOperation.SIGN_TENANCY, bytes(16), {"a": 1}) for _ in range(2)]
    assert one["salt"] != two["salt"]


def test_only_news_is_carried_to_a_door() -> None:
    site, phone = Site(), Phone.fresh()
    phone.take(kit(site, phone))
    carried = phone.carried(LOCK.lock_id)

    def kinds(list_number: int, key_set_number: int) -> set[DocumentKind]:
        info = LockInfo(LOCK.lock_id, 0, list_number, key_set_number, bytes(8))
        return {document.kind for document in news_for(info, carried)}

    everything = {DocumentKind.KEYS, DocumentKind.REVOCATION, DocumentKind.STATE}
    assert kinds(0, 0) == everything
    assert kinds(3, 1) == {DocumentKind.STATE}
    assert kinds(2, 1) == {DocumentKind.REVOCATION, DocumentKind.STATE}
