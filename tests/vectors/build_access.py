"""Vectors of the decision: every reason, and the edges of every window (L-04, L-40)."""

from dataclasses import dataclass, field, replace

from lockserver.protocol.access import ClockView, Denied, DoorView, Operation, decide
from lockserver.protocol.claims import Capability, Claims, HolderClass, Schedule, minute_of_week
from lockserver.protocol.documents import RevocationList
from lockserver.protocol.limits import MAX_USED
from tests.vectors.cast import LOCK_ID, NOW, OTHER_LOCK_ID, claims, octets

LEAP = 1_709_208_000
"""2024-02-29T12:00:00Z."""

SUNDAY = 1_704_643_200
"""2024-01-07T16:00:00Z: midnight from Sunday to Monday at UTC+8."""


@dataclass(frozen=True)
class Case:
    """One decision."""

    name: str
    claims: Claims = field(default_factory=claims)
    operation: Operation = Operation.UNLOCK
    clock: ClockView = field(default_factory=lambda: ClockView(NOW))
    door: DoorView = field(default_factory=lambda: DoorView(LOCK_ID, shared=False, epoch=3))


ROOM = DoorView(LOCK_ID, shared=False, epoch=3)
GATE = DoorView(LOCK_ID, shared=True)
OWNER = claims(
    holder_class=HolderClass.OWNER, epoch=None, capabilities=Capability.UNLOCK | Capability.READ_JOURNAL
)
ENTRY = replace(OWNER, capabilities=OWNER.capabilities | Capability.ENTRY, exp=OWNER.nbf + 86400)
LIST = RevocationList(LOCK_ID, 4, ((octets("credential", 16), NOW + 99),), NOW)
FLOOR = RevocationList(LOCK_ID, 5, (), NOW, iat_floor=NOW - 3600)
NIGHT = Schedule.of(480, [(6 * 1440 + 22 * 60, 6 * 60)])
"""Sunday 22:00 to Monday 06:00 at UTC+8: over the week's end."""

DAY = Schedule(480, ((3 * 1440 + 540, 3 * 1440 + 1080),))
"""Thursday 09:00 to 18:00 at UTC+8."""


def _window_cases() -> list[Case]:
    held = claims(nbf=LEAP, exp=LEAP + 86400, iat=LEAP - 60)
    midnight = claims(nbf=LEAP + 4 * 3600, exp=LEAP + 28 * 3600, iat=LEAP)
    edges = (-300, -1, 0, 1, 300)
    cases = [Case(f"from {d:+d}", held, clock=ClockView(LEAP + d)) for d in edges]
    cases += [Case(f"until {d:+d}", held, clock=ClockView(LEAP + 86400 + d)) for d in edges]
    cases += [
        Case(f"midnight UTC+8 after 29 February, from {d:+d}", midnight, clock=ClockView(LEAP + 14400 + d))
        for d in (-1, 0)
    ]
    return cases


def _schedule_cases() -> list[Case]:
    week = claims(nbf=SUNDAY - 86400, exp=SUNDAY + 86400, iat=SUNDAY - 86400, schedule=NIGHT)
    day = claims(nbf=LEAP - 86400, exp=LEAP + 86400, iat=LEAP - 86400, schedule=DAY)
    nine = LEAP - 11 * 3600  # 09:00 at UTC+8
    cases = [
        Case(f"week wrap {name}", week, clock=ClockView(SUNDAY + d))
        for name, d in (
            ("before 22:00", -7201),
            ("at 22:00", -7200),
            ("a second before midnight", -1),
            ("at midnight", 0),
            ("a second before 06:00", 6 * 3600 - 1),
            ("at 06:00", 6 * 3600),
        )
    ]
    cases += [
        Case(f"day {name}", day, clock=ClockView(nine + d))
        for name, d in (("-1", -1), ("from", 0), ("-1 of until", 9 * 3600 - 1), ("until", 9 * 3600))
    ]
    return cases


def _reason_cases() -> list[Case]:
    c = claims
    return [
        Case("plain"),
        Case("other lock", c(lock_id=OTHER_LOCK_ID)),
        Case("clock lost", clock=ClockView(None, floor=NOW)),
        Case("clock lost, floor past exp", clock=ClockView(None, floor=NOW + 36 * 3600)),
        Case("clock behind its floor", clock=ClockView(NOW, floor=NOW + 36 * 3600)),
        Case("revoked", door=replace(ROOM, revocation=LIST)),
        Case("another is revoked", c(cti="another"), door=replace(ROOM, revocation=LIST)),
        Case("iat below the floor", c(iat=NOW - 3601, nbf=NOW - 3601), door=replace(ROOM, revocation=FLOOR)),
        Case("iat at the floor", door=replace(ROOM, revocation=FLOOR)),
        Case("epoch below", c(epoch=2)),
        Case("epoch above raises", c(epoch=4)),
        Case("epoch above, but only locking", c(epoch=4), Operation.LOCK),
        Case("epoch above by a guest raises", c(epoch=4, holder_class=HolderClass.GUEST)),
        Case("epoch jump at its bound", c(epoch=19)),
        Case("epoch jump beyond", c(epoch=20)),
        Case("expired with a higher epoch does not raise", c(epoch=4), clock=ClockView(NOW + 36 * 3600)),
        Case("no epoch at a room", c(epoch=None)),
        Case("gate without epoch", c(epoch=None), door=GATE),
        Case("epoch at a gate", c(epoch=3), door=GATE),
        Case("owner without epoch", OWNER),
        Case("owner below the owner's epoch", OWNER, door=replace(ROOM, owner_epoch=1)),
        Case("owner raises the owner's epoch", replace(OWNER, epoch=1), door=ROOM),
        Case(
            "staff below the staff's epoch",
            replace(OWNER, holder_class=HolderClass.STAFF),
            door=replace(ROOM, staff_epoch=1),
        ),
        Case("capability missing", c(capabilities=Capability.LOCK)),
        Case("hold open without it", operation=Operation.HOLD_OPEN),
        Case("journal without it", operation=Operation.READ_JOURNAL),
        Case("journal by the owner", OWNER, Operation.READ_JOURNAL),
        Case("carry opens nothing", c(capabilities=Capability.CARRY)),
        Case("carry in a tenant's credential", c(capabilities=Capability.CARRY), Operation.CARRY),
        Case("unknown capability bit", c(capabilities=Capability(1 << 20))),
        Case("owner at an occupied room", OWNER, door=replace(ROOM, occupied=True)),
        Case("owner with entry at an occupied room", ENTRY, door=replace(ROOM, occupied=True)),
        Case(
            "owner reads the journal of an occupied room",
            OWNER,
            Operation.READ_JOURNAL,
            door=replace(ROOM, occupied=True),
        ),
        Case("tenant at an occupied room", door=replace(ROOM, occupied=True)),
        Case("order: other lock before expired", c(lock_id=OTHER_LOCK_ID), clock=ClockView(NOW + 10**6)),
        Case(
            "order: expired before revoked", clock=ClockView(NOW + 10**6), door=replace(ROOM, revocation=LIST)
        ),
        Case("order: revoked before epoch", c(epoch=2), door=replace(ROOM, revocation=LIST)),
        Case("order: epoch before capability", c(epoch=2, capabilities=Capability.LOCK)),
        Case("order: capability before schedule", c(capabilities=Capability.LOCK, schedule=NIGHT)),
    ]


ONCE = claims(holder_class=HolderClass.GUEST, uses=1)
"""One opening."""

CARRIER = claims(cti="gateway", holder_class=HolderClass.GATEWAY, epoch=None, capabilities=Capability.CARRY)
USED = frozenset({octets("credential", 16)})
FULL = frozenset(octets(f"used {n}", 16) for n in range(MAX_USED))


def _once_cases() -> list[Case]:
    used, full = replace(ROOM, used=USED), replace(ROOM, used=FULL)
    return [
        Case("one-time", ONCE),
        Case("one-time, holding open", replace(ONCE, capabilities=Capability(3)), Operation.HOLD_OPEN),
        Case("one-time, epoch above", replace(ONCE, epoch=4)),
        Case("one-time, locking", ONCE, Operation.LOCK, door=used),
        Case("one-time, used", ONCE, door=used),
        Case("one-time, another is used", replace(ONCE, cti=octets("another", 16)), door=used),
        Case("one-time, as many are remembered as can be", ONCE, door=full),
        Case("one-time, one of as many as can be remembered", replace(ONCE, cti=min(FULL)), door=full),
        Case("any number of openings, as many are remembered as can be", door=full),
        Case("one-time, capturing", ONCE, Operation.CAPTURE),
        Case("order: occupied before used", replace(OWNER, uses=1), door=replace(used, occupied=True)),
    ]


def _carrier_cases() -> list[Case]:
    c = claims
    entry = replace(ENTRY, capabilities=ENTRY.capabilities | Capability.LOCK)
    occupied = replace(ROOM, occupied=True)
    both = replace(CARRIER, capabilities=Capability.CARRY | Capability.UNLOCK)
    return [
        Case("gateway carries", CARRIER, Operation.CARRY),
        Case("gateway carries at an occupied room", CARRIER, Operation.CARRY, door=occupied),
        Case("gateway carries at a gate", CARRIER, Operation.CARRY, door=GATE),
        Case("gateway unlocks", CARRIER),
        Case("gateway syncs", CARRIER, Operation.SYNC),
        Case("gateway captures", CARRIER, Operation.CAPTURE),
        Case("gateway with unlock carries", both, Operation.CARRY),
        Case("gateway with unlock unlocks", both),
        Case("gateway without carry", replace(CARRIER, capabilities=Capability.UNLOCK)),
        Case("gateway with an epoch", replace(CARRIER, epoch=3), Operation.CARRY),
        Case("tenant carries", operation=Operation.CARRY),
        Case("tenant syncs", operation=Operation.SYNC),
        Case("tenant captures", operation=Operation.CAPTURE, door=occupied),
        Case("tenant captures with an epoch above", c(epoch=4), Operation.CAPTURE),
        Case("capturing without unlock", c(capabilities=Capability.LOCK), Operation.CAPTURE),
        Case("owner captures", OWNER, Operation.CAPTURE),
        Case("owner captures at an occupied room", OWNER, Operation.CAPTURE, door=occupied),
        Case("owner with entry captures at an occupied room", entry, Operation.CAPTURE, door=occupied),
    ]


def cases() -> list[Case]:
    """Every case."""
    return _window_cases() + _schedule_cases() + _reason_cases() + _once_cases() + _carrier_cases()


def _claims_json(c: Claims) -> dict[str, object]:
    schedule = c.schedule
    return {
        "cti": c.cti.hex(),
        "lock_id": c.lock_id.hex(),
        "nbf": c.nbf,
        "exp": c.exp,
        "iat": c.iat,
        "capabilities": int(c.capabilities),
        "class": int(c.holder_class),
        "epoch": c.epoch,
        "schedule": schedule and {"offset": schedule.offset, "windows": [list(w) for w in schedule.windows]},
        **({} if c.uses is None else {"uses": c.uses}),
    }


def _door_json(door: DoorView) -> dict[str, object]:
    listed = door.revocation
    return {
        "lock_id": door.lock_id.hex(),
        "shared": door.shared,
        "epoch": door.epoch,
        "owner_epoch": door.owner_epoch,
        "staff_epoch": door.staff_epoch,
        "occupied": door.occupied,
        "revoked": [] if listed is None else [cti.hex() for cti, _ in listed.entries],
        "iat_floor": None if listed is None else listed.iat_floor,
        **({"used": sorted(cti.hex() for cti in door.used)} if door.used else {}),
    }


def _verdict_json(case: Case) -> dict[str, object]:
    verdict = decide(case.claims, case.operation, case.clock, case.door)
    if isinstance(verdict, Denied):
        return {"denied": verdict.denial.word}
    uses_up = {"uses_up": True} if verdict.uses_up else {}
    return {"raise_epoch": verdict.raise_epoch, "occupies": verdict.occupies, **uses_up}


def access_vectors() -> object:
    """Decisions, and minutes of the week."""
    return {
        "decide": [
            {
                "name": case.name,
                "claims": _claims_json(case.claims),
                "operation": int(case.operation),
                "clock": {"now": case.clock.now, "floor": case.clock.floor},
                "door": _door_json(case.door),
                "verdict": _verdict_json(case),
            }
            for case in cases()
        ],
        "minute_of_week": [
            {"now": now, "offset": offset, "minute": minute_of_week(now, offset)}
            for now in (0, LEAP, SUNDAY - 1, SUNDAY, NOW)
            for offset in (-720, 0, 345, 480, 840)
        ],
    }
