"""PINs, cards and fingers; what could still open a lock; how a lock is."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from mobile_api.schemas.grants import WEEKLY, ScheduleBody
from mobile_api.schemas.parts import Bytes, In, Instant, Out, Wish, WishedIn, example, octets

Kind = Literal["pin", "card", "finger"]
Class = Literal["owner", "staff", "tenant", "guest"]
State = Literal["unset", "setting", "set", "removing"]


class PinRulesOut(Out):
    """What a chosen PIN must be. `rules` are looked for in this order; `pin_weak` names the one that is broken."""

    least_digits: int
    most_digits: int
    rules: dict[str, str]
    tries_a_day: int


class SlotWishIn(In):
    """The holder's signature; what it says stands in its arguments."""

    model_config = example(wish=octets(200))

    wish: Wish


class OfflinePinOut(Out):
    """A PIN for the asking phone's eyes: `box` opens to its nine digits. Used first within a day of `from`."""

    model_config = ConfigDict(populate_by_name=True, frozen=True)

    box: Bytes
    code: int
    lower: Instant = Field(alias="from")
    upper: Instant = Field(alias="until")


class BackupPinOut(Out):
    """A PIN that the lock holds already; `box` opens to its digits on the asking phone."""

    box: Bytes
    slot_id: UUID


class SlotOut(Out):
    """A PIN, card or finger. `set` and `unset` are only ever the lock's own signed word.

    `unconfirmed_s`: for how long the lock has said nothing about it, once that is longer than it should be.
    """

    model_config = ConfigDict(populate_by_name=True, frozen=True)

    id: UUID
    number: int
    kind: Kind
    purpose: Literal["own", "guest", "backup"]
    holder_class: Class = Field(alias="class")
    whose: Literal["mine", "given", "staff", "backup"]
    state: State
    why: Literal["wish", "replaced", "frozen", "ended", "expired"] | None
    unconfirmed_s: int | None
    asked_at: Instant
    settled_at: Instant | None
    lower: Instant = Field(alias="from")
    upper: Instant = Field(alias="until")


class SlotsOut(Out):
    """Yours, and those you gave; `taken` counts everybody's, of `most` of a kind and `most_in_all`."""

    slots: list[SlotOut]
    taken: dict[str, int]
    most: int
    most_in_all: int


class DebtLineOut(Out):
    """So many things of this kind could still open the lock, the last until then. Whose is nobody's business here."""

    kind: Literal["credential", "former_key", "pin", "card", "finger", "offline_pin", "activation"]
    holder_class: Class = Field(alias="class")
    count: int
    until: Instant

    model_config = ConfigDict(populate_by_name=True, frozen=True)


class DebtOut(Out):
    """What could still open this lock although it must not. `owed` 0: nothing; `pay`: any one of these ends it."""

    owed: int
    until: Instant | None
    lines: list[DebtLineOut]
    pay: list[Literal["connect_lock", "visit_by_phone", "next_tenancy", "clear_code", "wait"]]


class AskedOut(Out):
    """The lock is asked; its answer shows in the findings, and in `inventory_at` of its health."""

    asked: bool


class FindingOut(Out):
    """What the lock holds otherwise than it should. Nobody repairs it in silence."""

    id: UUID
    kind: Literal[
        "unknown_credential",
        "missing_credential",
        "altered_credential",
        "epoch",
        "version",
        "activation",
        "card_taken",
    ]
    detail: dict[str, JsonValue]
    found_at: Instant
    seen_again_at: Instant
    cleared_at: Instant | None


class BatteryOut(Out):
    """`doubt`: `old` (not read for a day), `frozen` (the same for a month of use), `unread` (nobody knows when)."""

    percent: int | None
    read_at: Instant | None
    age_s: int | None
    doubt: Literal["old", "frozen", "unread"] | None


class BoltOut(Out):
    """How the bolt stands; `unknown` where the last word is too old, with its age."""

    value: Literal["locked", "unlocked", "unknown"]
    age_s: int | None


class RefusedOut(Out):
    """A document that the lock will not have: it is not sent again until there is a newer one, or it booted."""

    kind: Literal["revocation", "state", "keys", "release"]
    number: int
    denial: str | None


class HealthOut(Out):
    """How a lock is, every value with its age. Of a room that somebody else lives in, bolt and door are null."""

    connection: Literal["online", "silent", "never"]
    last_seen_at: Instant | None
    battery: BatteryOut
    bolt: BoltOut | None
    door: Literal["closed", "open", "unknown"] | None
    tampered: bool | None
    jams: int | None
    clock_offset_s: int | None
    clock_attested: bool | None
    firmware: int | None
    firmware_version: str | None
    refusing: list[RefusedOut]
    unconfirmed: int
    findings: int
    inventory_at: Instant | None


class RiskOut(Out):
    """A tenant whose key dies then, and who has no PIN, card or finger of his own in the lock."""

    phone_mask: str | None
    door: str
    until: Instant


class RisksOut(Out):
    """Who would stand outside if nothing happened; each of them was told."""

    count: int
    holders: list[RiskOut]


class DoorSettingsIn(WishedIn):
    """Both settings, signed: what is null is off. `hold_open` is a gate's; `auto_lock` in seconds, 0 for never.

    The wish: operation 19 (edit grant), target the door.
    """

    model_config = example(
        hold_open={"zone": "Asia/Shanghai", "weekly": WEEKLY},
        auto_lock=30,
        wish=octets(200),
        salt=octets(16),
    )

    hold_open: ScheduleBody | None
    auto_lock: Annotated[int, Field(ge=0, le=600)] | None


class DoorSettingsOut(Out):
    """As the lock will hold them once it says so."""

    door_id: UUID
    hold_open: dict[str, JsonValue] | None
    auto_lock: int | None
