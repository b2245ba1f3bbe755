"""Accounts, sessions, holders and phones, as facts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

PhoneState = Literal["pending", "active", "revoked"]
Proof = Literal["button", "face", "staff", "grantor"]


@dataclass(frozen=True, slots=True)
class Account:
    """A phone number that somebody logs in with: its keyed hash and its mask."""

    id: UUID
    phone_index: bytes
    phone_mask: str


@dataclass(frozen=True, slots=True)
class LoginCode:
    """A one-time code that was sent, as its hash."""

    id: UUID
    phone_index: bytes
    code_hash: bytes
    expires_at: datetime
    attempts: int = 0
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A login, as the hashes of its two tokens."""

    id: UUID
    account_id: UUID
    access_hash: bytes
    access_expires_at: datetime
    refresh_hash: bytes
    refresh_expires_at: datetime
    revoked_at: datetime | None = None

    def lives(self, at: datetime) -> bool:
        """Tell whether the access token is good at this instant."""
        return self.revoked_at is None and at < self.access_expires_at


@dataclass(frozen=True, slots=True)
class Holder:
    """A natural person who may hold credentials; `subject` is his 16-byte pseudonym on the wire."""

    id: UUID
    account_id: UUID | None
    subject: bytes


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone's two public keys, and what proved that they are this holder's."""

    id: UUID
    holder_id: UUID
    sign_pub: bytes
    ecdh_pub: bytes
    session_id: UUID | None
    state: PhoneState
    proved_by: Proof | None = None
    revoked_at: datetime | None = None
