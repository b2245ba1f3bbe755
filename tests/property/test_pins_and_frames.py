"""What was added to the wire, at values nobody chose: round trips, and lives that are half-open (L-01, L-40)."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lockserver.protocol import commands, keyed, pin
from lockserver.protocol.access import ClockView, Denied, DoorView, Granted
from lockserver.protocol.claims import WEEK, HolderClass, Schedule, claims_map, read_claims
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.commands import CaptureBody, Command, CommandKind, FirmwareBody, InventoryBody
from lockserver.protocol.documents import (
    AccessState,
    KeySet,
    ReleaseOrder,
    ReleaseReason,
    read_access_state,
    read_key_set,
    read_release,
    sign_access_state,
    sign_key_set,
    sign_release,
)
from lockserver.protocol.errors import Denial
from lockserver.protocol.firmware import FirmwareManifest, read_firmware, sign_firmware
from lockserver.protocol.gateway import (
    CarriedReport,
    CarryCommand,
    CarryFault,
    CarryMaterial,
    GatewayHello,
    Handed,
    Heard,
    Sight,
    decode_down,
    decode_up,
    encode_down,
    encode_up,
)
from lockserver.protocol.limits import (
    FIRST_USE,
    MAX_AUTO_LOCK,
    MAX_CHUNK,
    MAX_FIRMWARE,
    MAX_HOUR,
    MAX_NUMBER,
    MAX_TIME,
)
from lockserver.protocol.pin import (
    Activation,
    OfflinePin,
    PinCode,
    activation,
    activation_rows,
    candidates,
    offline_subject,
    pin_digits,
    read_activations,
    search,
    subject_pin,
)
from lockserver.protocol.reports import (
    Captured,
    CapturedKind,
    FirmwareState,
    Inventory,
    Report,
    read_report,
    report_body,
    report_kind,
)
from lockserver.protocol.slots import Slot
from tests.vectors.cast import ISSUER, KEY_SET, LOCK_ID, NOW, ROOT, claims, octets, pair

numbers = st.integers(0, MAX_NUMBER)
times = st.integers(0, MAX_TIME)
ids = st.binary(min_size=16, max_size=16)
short = st.text(st.characters(exclude_categories=["Cs"]), max_size=32)
pins = st.builds(OfflinePin, numbers, st.sampled_from(PinCode), st.integers(1, MAX_HOUR), st.integers(0, 1))
classes = st.sampled_from([c for c in HolderClass if c is not HolderClass.GATEWAY])
slots = st.builds(Slot, st.integers(0, 255), ids, ids, times, times, classes, st.none() | numbers)
some_slots = st.lists(slots, max_size=5, unique_by=lambda s: s.slot).map(
    lambda each: tuple(sorted(each, key=lambda s: s.slot))
)
schedules = st.lists(st.integers(0, WEEK), min_size=2, max_size=9, unique=True).map(
    lambda m: Schedule(480, tuple(zip(*[iter(sorted(m)[: len(m) // 2 * 2])] * 2, strict=True)))
)
FIRMWARE = pair("firmware")


# -------------------------------------------------------------------------------- round trips


@given(
    st.builds(
        AccessState,
        st.just(LOCK_ID),
        numbers,
        st.none() | numbers,
        st.booleans(),
        times,
        some_slots,
        some_slots,
        some_slots,
        st.none() | schedules,
        st.none() | st.integers(0, MAX_AUTO_LOCK),
    )
)
def test_a_state_reads_as_it_was_signed(state: AccessState) -> None:
    signed = sign_access_state(state, ISSUER.signer)
    assert read_access_state(signed, {ISSUER.signer.kid: ISSUER.public}) == state


@given(st.sampled_from(ReleaseReason), times, st.booleans())
def test_a_release_and_a_key_set_read_as_they_were_signed(
    reason: ReleaseReason, iat: int, pins: bool
) -> None:
    order = ReleaseOrder(LOCK_ID, reason, iat)
    assert read_release(sign_release(order, ISSUER.signer), {ISSUER.signer.kid: ISSUER.public}) == order
    key_set: KeySet = replace(KEY_SET, iat=iat, pins_key=FIRMWARE.public if pins else None)
    assert read_key_set(sign_key_set(key_set, ROOT.signer), ROOT.public) == key_set


@given(
    st.builds(
        FirmwareManifest, short, numbers, short, st.integers(1, MAX_FIRMWARE), st.just(octets("h", 32)), times
    )
)
def test_a_manifest_reads_as_it_was_signed(manifest: FirmwareManifest) -> None:
    assert read_firmware(sign_firmware(manifest, FIRMWARE.signer), FIRMWARE.public) == manifest


@given(
    st.one_of(
        st.builds(CarryCommand, ids, ids, st.binary(min_size=5, max_size=5), st.binary(max_size=300)),
        st.builds(
            CarryMaterial,
            st.lists(st.binary(max_size=640), max_size=4).map(tuple),
            st.lists(st.binary(max_size=300), max_size=4).map(tuple),
        ),
    )
)
def test_a_frame_down_reads_as_it_was_written(frame: CarryCommand | CarryMaterial) -> None:
    assert decode_down(encode_down(frame)) == frame


@given(
    st.one_of(
        st.builds(CarriedReport, ids, st.binary(max_size=300)),
        st.builds(
            Heard,
            st.lists(
                st.builds(Sight, st.binary(min_size=5, max_size=5), st.integers(-127, 20)), max_size=9
            ).map(tuple),
        ),
        st.builds(Handed, ids, st.sampled_from(CarryFault)),
        st.builds(GatewayHello, numbers, st.integers(0, 255)),
    )
)
def test_a_frame_up_reads_as_it_was_written(frame: CarriedReport | Heard | Handed | GatewayHello) -> None:
    assert decode_up(encode_up(frame)) == frame


@given(
    st.one_of(
        st.builds(Captured, st.sampled_from(CapturedKind), ids, ids, st.booleans()),
        st.builds(
            Inventory,
            numbers,
            numbers,
            st.none() | numbers,
            some_slots,
            some_slots,
            some_slots,
            st.lists(st.builds(Activation, pins, times), max_size=5).map(tuple),
        ),
        st.builds(
            FirmwareState,
            numbers,
            short,
            st.integers(0, MAX_FIRMWARE),
            st.none() | numbers,
            st.none() | st.sampled_from(Denial),
        ),
    )
)
def test_a_report_reads_as_it_was_written(report: Report) -> None:
    assert read_report(report_kind(report), decode(encode(report_body(report)))) == report


@given(
    st.one_of(
        st.builds(
            Command,
            ids,
            st.just(CommandKind.FIRMWARE),
            st.builds(
                FirmwareBody,
                st.binary(max_size=512),
                st.integers(0, MAX_FIRMWARE),
                st.none() | st.binary(min_size=1, max_size=MAX_CHUNK),
            ),
        ),
        st.builds(Command, ids, st.just(CommandKind.INVENTORY), st.just(InventoryBody())),
        st.builds(
            Command,
            ids,
            st.just(CommandKind.CAPTURE),
            st.builds(CaptureBody, st.binary(max_size=512), st.binary(max_size=640)),
            numbers,
            times,
        ),
    )
)
def test_a_command_reads_as_it_was_written(command: Command) -> None:
    written = decode(encode(commands.command_map(command, LOCK_ID)))
    assert commands.read_command(written) == (LOCK_ID, command)


@given(st.lists(st.builds(Activation, pins, times), max_size=32), st.none() | st.just(1))
def test_activations_subjects_and_uses_read_as_they_were_written(
    activations: list[Activation], uses: int | None
) -> None:
    assert list(read_activations(decode(encode(activation_rows(activations))))) == activations
    for each in activations:
        subject = offline_subject(each.pin)
        assert 255 < subject <= MAX_NUMBER
        assert subject_pin(subject) == (each.pin.code, each.pin.start_hour, each.pin.n)
    held = claims(uses=uses)
    assert read_claims(decode(encode(claims_map(held)))) == held


# -------------------------------------------------------------------------------- half-open lives


def told(verdict: object) -> str:
    return verdict.denial.word if isinstance(verdict, Denied) else "granted"


def by_the_page(it: OfflinePin, now: int, in_use: bool) -> bool:
    """Whether a guest's PIN works, said another way: by the age of its start."""
    age = now - it.start_hour * 3600
    lives = {0: 86400, 1: 10800, 2: 86400, 3: 259200, 4: 604800, 5: 604800, 6: 84 * 86400, 8: 86400}
    if age < 0 or age >= lives[it.code] or (not in_use and age >= 86400):
        return False
    hours_in = {5: (age // 3600) % 24, 6: (age // 3600) % 168}.get(it.code, 0)
    return hours_in < 4


@settings(max_examples=600, deadline=None)
@given(
    code=st.sampled_from([c for c in PinCode if c is not PinCode.OWNER]),
    hour=st.integers(1000, 700_000),
    # edges: seconds about every boundary of a life, a window, a day and the week's wrap
    days=st.integers(0, 90),
    hours=st.sampled_from([0, 3, 4, 23, 24]),
    step=st.integers(-2, 2),
    in_use=st.booleans(),
)
def test_L40_an_offline_pin_works_in_its_half_open_life(
    code: PinCode, hour: int, days: int, hours: int, step: int, in_use: bool
) -> None:
    it = OfflinePin(3, code, hour)
    now = it.start + days * 86400 + hours * 3600 + step
    in_use = in_use and not code.one_time and code is not PinCode.CLEAR
    room = DoorView(LOCK_ID, shared=False, epoch=3)
    verdict = keyed.decide_pin(it, {it} if in_use else set(), ClockView(now), room)
    assert isinstance(verdict, Granted) == by_the_page(it, now, in_use)
    assert it.covers(now) == by_the_page(it, now, in_use=True)
    lost = keyed.decide_pin(it, {it}, ClockView(None, it.start), room)
    assert told(lost) == "clock_lost"
    if not in_use:
        searched = it in set(candidates(3, 0, shared=False, now=now))
        assert searched == by_the_page(it, now, in_use=False)


@settings(max_examples=400, deadline=None)
@given(
    nbf=st.integers(0, 4_000_000_000),
    length=st.integers(0, 14 * 86400),
    near=st.sampled_from(["nbf", "until"]),
    step=st.integers(-301, 301),
    holder_class=classes,
    floor=st.integers(-5, 5),
)
def test_L40_a_slot_opens_in_its_half_open_window(
    nbf: int, length: int, near: str, step: int, holder_class: HolderClass, floor: int
) -> None:
    epoch = 3 if holder_class.resident else None
    slot = Slot(1, bytes(16), bytes(16), nbf, nbf + length, holder_class, epoch)
    room = DoorView(LOCK_ID, shared=False, epoch=3)
    now = {"nbf": nbf, "until": slot.until}[near] + step
    inside = nbf <= now < slot.until
    assert isinstance(keyed.decide_slot(slot, ClockView(now), room), Granted) == inside
    lost = keyed.decide_slot(slot, ClockView(None, slot.until + floor), room)
    opens = floor < 0 and holder_class is HolderClass.TENANT
    assert isinstance(lost, Granted) == opens


@settings(max_examples=300, deadline=None)
@given(
    held=numbers.filter(lambda n: n < MAX_NUMBER),
    epoch=numbers,
    code=st.sampled_from(PinCode),
    shared=st.booleans(),
)
def test_no_pin_raises_an_epoch_by_more_than_one_or_lowers_it(
    held: int, epoch: int, code: PinCode, shared: bool
) -> None:
    it = OfflinePin(epoch, code, NOW // 3600)
    door = DoorView(LOCK_ID, shared=shared, epoch=held, owner_epoch=held)
    verdict = keyed.decide_pin(it, (), ClockView(NOW), door)
    if isinstance(verdict, Granted):
        assert verdict.raise_epoch in {None, held + 1}
        assert not (shared and verdict.raise_epoch and code is not PinCode.OWNER)
        assert not (code is PinCode.CLEAR and verdict.raise_epoch)
        assert activation(it).until > NOW


@settings(max_examples=30, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), at=st.integers(0, 619))
def test_every_seed_has_pins_of_its_own(seed: bytes, at: int) -> None:
    every = list(candidates(3, 0, shared=False, now=NOW))
    wanted = every[at]
    digits = pin_digits(seed, wanted)
    found = search(seed, digits, every)
    assert wanted in found
    assert all(pin_digits(seed, each) == digits for each in found)
    assert NOW - wanted.start < FIRST_USE
    assert pin.weakness(digits) != "length"
