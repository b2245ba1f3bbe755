"""Who may speak on the broker, and as whom: the pure half of the auth callout.

NATS asks (a JWT on ``$SYS.REQ.USER.AUTH``), we answer (a JWT that carries the permissions of one
lock, or an error). Source: nats-architecture-and-design ADR-26 (auth callout), and
``docs/protocol.md`` for the topics. Nothing here does IO or reads a clock: `callout` does.

A lock's name becomes part of a subject, and a name with ``*`` or ``>`` in it would widen its own
permissions; so the name is held to `LOCK_NAME` before anything else is looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lockserver.domain.lock import hash_broker_secret
from lockserver.protocol.enrolment import peek_certificate, read_offer
from lockserver.protocol.errors import RemoteError

LOCK_NAME = re.compile(r"[0-9a-f]{32}")
"""A lock's or a gateway's id on the broker: 32 lower-case hex digits, nothing else, matched whole."""

FACTORY_NAME = re.compile(r"factory-([A-Z0-9-]{4,32})")
"""A lock without an identity, under its serial number: it may enrol, and nothing else."""

FACTORY = "factory-"
ENROLLING_SHARD = "00"
"""A lock without an id has no shard; its topics have none either."""
Kind = Literal["lock", "gateway", "factory"]

SHARD_NAME = re.compile(r"[0-9a-f]{2}")

CONNECTION_LIFE_S = 24 * 3600
"""A lock connects again at least once a day: what bounds the harm of a kick that was lost."""

LOCK_SUBSCRIPTIONS = 8
"""A lock needs one; NATS counts one more for ``down/#``. More is somebody else's lock."""

MAX_REQUEST_BYTES = 64 * 1024
"""A request carries one certificate chain at most (about 4 KiB); larger ones are refused unread."""


class Refusal(StrEnum):
    """Why a connection was refused: for our log only, the broker's client sees CONNACK 5."""

    UNREADABLE = "unreadable"
    WRONG_TYPE = "wrong_type"
    BAD_NAME = "bad_name"
    FOREIGN_CLIENT_ID = "foreign_client_id"
    UNKNOWN_LOCK = "unknown_lock"
    RETIRED = "retired"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a reason, not a secret
    NO_CERTIFICATE = "no_certificate"
    FOREIGN_CERTIFICATE = "foreign_certificate"
    UNAVAILABLE = "unavailable"


class Proof(StrEnum):
    """What a lock proves itself with: a secret on loopback, a client certificate elsewhere."""

    SECRET = "secret"  # noqa: S105 - the name of a way, not a secret
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Asked:
    """One connection request, as NATS describes it."""

    user_nkey: str
    server_id: str
    server_name: str
    connection: int
    kind: str
    client_id: str
    user: str
    password: str
    chain: tuple[str, ...]
    """The verified client certificate chain in PEM, leaf first; empty without TLS."""


@dataclass(frozen=True, slots=True)
class KnownLock:
    """What the authority knows of a lock that wants to connect."""

    lock_id: str
    shard: str
    state: str
    secret_hash: bytes
    fingerprint: bytes
    """SHA-256 of the operational certificate (DER); empty when none was issued."""
    kind: Kind = "lock"


class LockDirectory(Protocol):
    """Where the responder looks locks and gateways up."""

    async def known_lock(self, lock_id: str) -> KnownLock | None:
        """The lock or gateway of this id (hex), or None."""
        ...


class Factories(Protocol):
    """Where the responder asks whether a manufacturer of ours made a lock."""

    def made(self, serial: str, certificate: bytes, now: int) -> bytes | None:
        """Return the public key (65-byte point) that a factory certificate (DER) gives this serial, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Granted:
    """This connection is this lock."""

    lock_id: str
    shard: str
    kind: Kind = "lock"

    @property
    def permissions(self) -> tuple[list[str], list[str]]:
        """(publish, subscribe) in NATS' subjects: its own, and nobody else's."""
        if self.kind == "factory":
            root = f"e.{self.lock_id.removeprefix(FACTORY)}"
            return [f"{root}.up"], [f"{root}.down"]
        if self.kind == "gateway":
            root = f"g.{self.shard}.{self.lock_id}"
            return [f"{root}.up"], [f"{root}.down"]
        root = f"l.{self.shard}.{self.lock_id}"
        return [f"{root}.up.>"], [f"{root}.down.>", f"{root}.down"]


@dataclass(frozen=True, slots=True)
class Refused:
    """This connection is nobody."""

    reason: Refusal


def read_request(data: bytes) -> Asked:
    """Read the claims of an authorization request.

    The server's signature is not checked: the request came over the account that only the server
    and we may use, and a forged one would gain a JWT for a connection that nobody holds.

    Raises ValueError for anything that is not such a request.
    """
    if len(data) > MAX_REQUEST_BYTES:
        raise ValueError("request is too large")
    parts = data.split(b".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature (RFC 7519)
        raise ValueError("not a JWT")
    claims = json.loads(_unpad(parts[1]))
    try:
        ask = claims["nats"]
        info = ask["client_info"]
        options = ask.get("connect_opts") or {}
        chains = (ask.get("client_tls") or {}).get("verified_chains") or []
        return Asked(
            user_nkey=_text(ask["user_nkey"]),
            server_id=_text(ask["server_id"]["id"]),
            server_name=_text(ask["server_id"].get("name", "")),
            connection=int(info.get("id", 0)),
            kind=_text(info.get("type", "")),
            client_id=_text(info.get("mqtt_id", "")),
            user=_text(options.get("user", "")),
            password=_text(options.get("pass", "")),
            chain=tuple(_text(pem) for pem in (chains[0] if chains else ())),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError("claims are incomplete") from error


def claimed_name(asked: Asked, proof: Proof) -> str | Refused:
    """The name this connection claims, once everything but the proof itself is in order.

    A factory certificate names a serial number, which is no id: its owner comes as a lock without identity.
    """
    if asked.kind != "mqtt":
        return Refused(Refusal.WRONG_TYPE)
    name = asked.user
    if proof is Proof.CERTIFICATE:
        found = _common_name(asked.chain)
        if found is None:
            return Refused(Refusal.NO_CERTIFICATE)
        name = found if LOCK_NAME.fullmatch(found) else FACTORY + found
    if not LOCK_NAME.fullmatch(name) and not FACTORY_NAME.fullmatch(name):
        return Refused(Refusal.BAD_NAME)
    if asked.client_id != name:
        # A broker hands a client id to whoever came last: B under A's id would throw A out.
        return Refused(Refusal.FOREIGN_CLIENT_ID)
    return name


def judge(asked: Asked, name: str, known: KnownLock | None, proof: Proof) -> Granted | Refused:
    """Decide one connection. `name` comes from `claimed_name`."""
    if known is None or known.lock_id != name:
        return Refused(Refusal.UNKNOWN_LOCK)
    if known.state not in {"enrolling", "active", "releasing"}:
        return Refused(Refusal.RETIRED)
    if proof is Proof.SECRET:
        if not secret_matches(asked.password, known.secret_hash):
            return Refused(Refusal.WRONG_SECRET)
    elif not known.fingerprint or not hmac.compare_digest(_fingerprint(asked.chain[0]), known.fingerprint):
        return Refused(Refusal.FOREIGN_CERTIFICATE)
    return Granted(name, known.shard, known.kind)


def judge_factory(
    asked: Asked, name: str, factories: Factories | None, proof: Proof, now: int
) -> Granted | Refused:
    """Decide the connection of a lock that has no identity yet: it may enrol, and nothing else.

    Without TLS its password is an LK1-OFFER for nobody, whose owner's key is its own: it proves the factory's
    key, and no offer of an enrolment, which the landlord's phone and the API have seen, will do.
    """
    found = FACTORY_NAME.fullmatch(name)
    if found is None or factories is None:
        return Refused(Refusal.UNKNOWN_LOCK)
    try:
        if proof is Proof.CERTIFICATE:
            pem = x509.load_pem_x509_certificate(asked.chain[0].encode("ascii"))
            if factories.made(found[1], pem.public_bytes(Encoding.DER), now) is None:
                return Refused(Refusal.FOREIGN_CERTIFICATE)
            return Granted(name, ENROLLING_SHARD, "factory")
        signed = _unpad(asked.password.encode("ascii"))
        public = factories.made(found[1], peek_certificate(signed), now)
        if public is None:
            return Refused(Refusal.FOREIGN_CERTIFICATE)
        offer = read_offer(signed, public)
    except (ValueError, RemoteError):
        return Refused(Refusal.WRONG_SECRET)
    if offer.serial != found[1] or offer.owner_public != offer.sign_public:
        return Refused(Refusal.WRONG_SECRET)
    return Granted(name, ENROLLING_SHARD, "factory")


def secret_matches(password: str, expected: bytes) -> bool:
    """Whether a CONNECT password (base64url without padding) is the secret behind this hash."""
    try:
        secret = _unpad(password.encode("ascii"))
    except (ValueError, UnicodeEncodeError):
        return False
    return bool(expected) and hmac.compare_digest(hash_broker_secret(secret), expected)


@dataclass(frozen=True, slots=True)
class CalloutSigner:
    """The key that NATS trusts to say who a connection is (an account nkey)."""

    seed: bytes

    @property
    def public(self) -> str:
        """The ``A…`` name that stands as ``auth_callout.issuer`` in the broker's configuration."""
        return str(nkeys.from_seed(bytearray(self.seed)).public_key.decode("ascii"))

    def admit(self, asked: Asked, granted: Granted, account: str, now: int) -> bytes:
        """The response that lets this connection in as this lock, until `now` + a day."""
        fits = FACTORY_NAME if granted.kind == "factory" else LOCK_NAME
        if not fits.fullmatch(granted.lock_id) or not SHARD_NAME.fullmatch(granted.shard):
            raise ValueError("a name that does not fit a subject")
        publish, subscribe = granted.permissions
        user = {
            "sub": asked.user_nkey,
            "aud": account,
            "name": granted.lock_id,
            "exp": now + CONNECTION_LIFE_S,
            "nats": {
                "pub": {"allow": publish},
                "sub": {"allow": subscribe},
                "subs": LOCK_SUBSCRIPTIONS,
                "data": -1,
                "payload": -1,
                "allowed_connection_types": ["MQTT"],
                "type": "user",
                "version": 2,
            },
        }
        return self._answer(asked, {"jwt": self._sign(user, now).decode("ascii")}, now)

    def refuse(self, asked: Asked, now: int) -> bytes:
        """The response that shuts this connection out. The reason stays in our own log."""
        return self._answer(asked, {"error": "not authorised"}, now)

    def _answer(self, asked: Asked, body: dict[str, Any], now: int) -> bytes:
        claims = {
            "sub": asked.user_nkey,
            "aud": asked.server_id,
            "nats": {**body, "type": "authorization_response", "version": 2},
        }
        return self._sign(claims, now)

    def _sign(self, claims: dict[str, Any], now: int) -> bytes:
        """Make a NATS JWT: EdDSA under an nkey, ``alg`` as NATS names it."""
        whole = {**claims, "iss": self.public, "iat": now}
        whole["jti"] = hashlib.sha256(_json(whole)).hexdigest()
        head = _pad_free(_json({"typ": "JWT", "alg": "ed25519-nkey"}))
        signed = head + b"." + _pad_free(_json(whole))
        signature: bytes = nkeys.from_seed(bytearray(self.seed)).sign(signed)
        return signed + b"." + _pad_free(signature)


def _common_name(chain: tuple[str, ...]) -> str | None:
    """The subject's common name of the leaf, if there is exactly one."""
    if not chain:
        return None
    try:
        leaf = x509.load_pem_x509_certificate(chain[0].encode("ascii"))
        names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return None
    return str(names[0].value) if len(names) == 1 else None


def _fingerprint(pem: str) -> bytes:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
    except ValueError:
        return b""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("utf-8")


def _pad_free(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unpad(data: bytes) -> bytes:
    return base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True)
