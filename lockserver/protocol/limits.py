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
"""Slots of one kind (PINs, cards, fingers) at one lock: bounds what one guess can hit."""

MAX_ALL_SLOTS: Final = 48
"""Slots of all kinds together: 48 x 53 bytes and frame (2.8 KiB) fit M3 beside a credential."""

MAX_ACTIVATIONS: Final = 32
"""Offline PINs in use that a lock remembers, one-time ones included: 32 x 19 bytes of flash."""

MAX_USED: Final = 64
"""One-time credentials whose opening was had and that have not expired: 64 x 22 bytes of flash."""

MAX_DOCUMENTS: Final = 5
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

MAX_SHORT_TEXT: Final = 32
"""Characters of a model or firmware version."""

MAX_FIRMWARE: Final = 1024 * 1024
"""Bytes of a firmware image: one of two flash banks."""

MAX_MANIFEST: Final = 512
"""An LK1-FW: about 240 bytes are used."""

MAX_CHUNK: Final = 2048
"""Bytes of firmware in one command: with manifest, signature and seal it fits a parcel."""

MAX_HEARD: Final = 64
"""Locks that a gateway names in one frame: it hears the corridor, not the town."""

MAX_CARRIED: Final = 64
"""Credentials, and door documents, in one gateway frame: 64 x 450 bytes fit an envelope."""

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

GATEWAY_LIFE: Final = 72 * 3600
"""Longest life of a gateway's credential: a stolen one is dead in days, and it opens nothing."""

RELEASE_LIFE: Final = 7 * 86400
"""How long a release stays good: time to walk to an offline lock; one withheld for a year is void."""

HANDSHAKE_SECONDS: Final = 5
"""Longest time between M2 and M3 on the lock's own timer: bounds a relay, frees the only slot."""

BUTTON_SECONDS: Final = 120
"""How long after its button a lock takes an enrolment: time for one look-up over a bad network."""

CAPTURE_SECONDS: Final = 60
"""How long a lock waits for the card or finger to be enrolled: time to find it in a pocket."""

COMMAND_LIFE: Final = 20
"""Longest `not_after` of a command beyond an issuer-attested time: an unlock must die young."""

COUNTER_JUMP: Final = 1 << 16
"""How far a command's counter may stand above the last one used: commands that were never sent leave gaps, and no
single command, whoever signed it, uses up all numbers there are."""

TIME_NONCE_SECONDS: Final = 600
"""How long the time nonce of M2 stays valid: a phone walks to where it has a network and returns."""

TIME_ROUND_TRIP: Final = 2
"""Longest round trip, by the lock's timer, of a time statement that attests the clock."""

REQUEST_SKEW: Final = 300
"""How far a phone-signed request's `issued_at` may be from the server's clock."""

MAX_AUTO_LOCK: Final = 600
"""Longest auto-lock delay, seconds: longer is to hold the door open, and is asked for as that."""

PIN_DIGITS: Final = 9
"""Digits of an offline PIN: ceaseless guessing stays far below 0.5 % in 30 days (docs/protocol.md)."""

PIN_LEAST: Final = 7
"""Fewest digits of a custom PIN, by the same arithmetic; the most are PIN_DIGITS."""

PIN_TWINS: Final = 2
"""Offline PINs of one epoch, code and start hour (n = 0, 1): two guests may come in one hour."""

FIRST_USE: Final = 86400
"""How long after its start an offline PIN may be used first: bounds the candidates of a guess."""

USED_PIN_KEPT: Final = 25 * 3600
"""How long after its start a used one-time PIN is remembered: an hour beyond its last candidacy."""

MAX_HOUR: Final = 2**24 - 1
"""Start hours since 1970, the year 3883: with code and n it fits one flash word."""

LOCKOUT_AFTER: Final = 5
"""Failures at a keypad, card or finger reader until it rests: a few slips are human."""

LOCKOUT_PAUSES: Final = (300, 600, 1200, 2400, 3600)
"""Seconds of rest after that failure, and after each later one; the last goes on: 24 guesses a day."""

LOCKOUT_QUIET: Final = 86400
"""Seconds without a failure that forget the failures; a success does not."""
