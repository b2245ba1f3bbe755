"""Every bound on size, count and time of the wire, each with its reason.

Sizes are bytes, times seconds.  A reader refuses what is above; a writer raises ``LocalError``.
"""

from typing import Final

MAX_MESSAGE: Final = 4096
"""A handshake message, a parcel, or one document: what a lock buffers for one connection."""

MAX_ENVELOPE: Final = 32 * 1024
"""A sealed command or report over MQTT: a batch of MAX_BATCH journal entries fits with room."""

MAX_DEPTH: Final = 8
"""Nesting of CBOR containers: the deepest message of ours needs 5."""

MAX_INT: Final = 2**53 - 1
"""JavaScript's last exact integer: no implementation may round what another signed."""

MAX_TIME: Final = 2**40
"""Unix seconds, the year 36812: a time beyond is a mistake in units (milliseconds)."""

MAX_NUMBER: Final = 2**32 - 1
"""Document numbers, epochs, counters, boots: what a lock stores in one flash word."""

ID: Final = 16
"""Lock, holder, credential, command and wish ids."""

NONCE: Final = 8
"""Time and request nonces: unique per lock or phone within their short life, not secret."""

ENROL_NONCE: Final = 16
"""Enrolment nonce: also the salt of the claim code's MAC key."""

CLAIM_CODE: Final = 16
"""Claim code in the QR: 128 random bits, so that a recorded MAC cannot be searched."""

MAX_PARCELS: Final = 256
"""Parcels each way on one connection: 1 MiB, a full journal and every document several times."""

MAX_KEYS: Final = 4
"""Keys of one purpose in a key set: current, next, and two of an emergency."""

MAX_REVOKED: Final = 128
"""Entries of a revocation list: 128 x 23 bytes plus frame fit one message beside a credential."""

MAX_SLOTS: Final = 24
"""PINs, and cards, in one access state: 2 x 24 x 42 bytes fit one message."""

MAX_DOCUMENTS: Final = 4
"""Documents in one message: one of each kind that a lock takes."""

MAX_WINDOWS: Final = 21
"""Schedule windows: three a day."""

MAX_BATCH: Final = 128
"""Journal entries in one report: 128 x 84 bytes; a full ring of 500 goes in four."""

MAX_CLAIMS: Final = 32
"""Fields of any signed map, known and ignorable: bounds the reader's work."""

MAX_ARGS: Final = 8
"""Arguments of a wish."""

MAX_TEXT: Final = 128
"""Characters of any text field (method and path, serial, names of arguments)."""

MAX_CERTIFICATE: Final = 1536
"""A device certificate in DER: ours are about 500 bytes."""

MAX_BOX: Final = 256
"""A small sealed secret inside a document (door seed, broker secret): 65 + 32 + 16 are used."""

EPOCH_JUMP: Final = 16
"""How far one key may raise an epoch: turnovers missed by an offline lock, yet a mis-issued huge
epoch cannot make a door unusable."""

TENANT_LIFE: Final = 72 * 3600
"""Longest life of a tenant's or guest's credential: bounds exposure at an offline lock."""

OWNER_LIFE: Final = 30 * 86400
"""Longest life of an owner's or staff member's credential."""

ENTRY_LIFE: Final = 24 * 3600
"""Longest life of a credential with `entry`: consent and emergency are for a day."""

HANDSHAKE_SECONDS: Final = 5
"""Longest time between M2 and M3 on the lock's own timer: bounds a relay, frees the only slot."""

BUTTON_SECONDS: Final = 120
"""How long after its button a lock takes an enrolment: time for one look-up over a bad network."""

COMMAND_LIFE: Final = 20
"""Longest `not_after` of a command beyond an issuer-attested time: an unlock must die young."""

TIME_NONCE_SECONDS: Final = 600
"""How long the time nonce of M2 stays valid: a phone walks to where it has a network and returns."""

TIME_ROUND_TRIP: Final = 2
"""Longest round trip, by the lock's timer, of a time statement that attests the clock."""

REQUEST_SKEW: Final = 300
"""How far a phone-signed request's `issued_at` may be from the server's clock."""
